import { element } from "./element.js";

const services = document.querySelector("#services");
const filter = document.querySelector("#filter");
const found = document.querySelector("#found");

let shown = [];
let current = "";

/** Shows the methods of a catalog that the filter lets through. */
export function list({ services: all }) {
  shown = all;
  write();
}

/** Marks the method that is chosen, by its name. */
export function mark(name) {
  current = name;
  for (const link of services.querySelectorAll("a")) markLink(link);
}

function write() {
  const focused = services.contains(document.activeElement) && document.activeElement.hash;
  const words = filter.value.toLowerCase().split(/\s+/);
  const fitting = shown
    .map((service) => ({ ...service, methods: service.methods.filter((one) => fits(one, words)) }))
    .filter(({ methods }) => methods.length > 0);
  services.replaceChildren(...fitting.map(section));
  if (focused) links().find(({ hash }) => hash === focused)?.focus();
  found.textContent = count(fitting);
}

function fits({ name, description, routes }, words) {
  const paths = routes.map(({ verb, path }) => `${verb} ${path}`);
  const text = [name, description, ...paths].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function count(fitting) {
  if (!filter.value.trim()) return "";
  const number = fitting.flatMap(({ methods }) => methods).length;
  return number === 1 ? "1 method" : `${number || "No"} methods`;
}

function section({ name, description, methods }) {
  const dot = name.lastIndexOf(".") + 1;
  const title = element("h2", { title: name }, name.slice(0, dot), element("wbr"));
  title.append(element("strong", {}, name.slice(dot)));
  const comment = description && element("p", { class: "hint" }, description);
  return element("section", {}, title, comment, element("ul", {}, ...methods.map(item)));
}

function item(method) {
  const link = element("a", { href: `#${method.name}` }, element("span", {}, method.shortName));
  const streams = streamsOf(method);
  if (streams) link.append(" ", element("span", { class: "kind" }, streams));
  if (method.deprecated) link.classList.add("deprecated");
  markLink(link);
  return element("li", {}, link);
}

/** Says in a word what of a method streams. */
export function streamsOf({ clientStreaming, serverStreaming }) {
  if (clientStreaming) return serverStreaming ? "bidi" : "client stream";
  return serverStreaming ? "stream" : "";
}

function markLink(link) {
  if (link.hash.slice(1) === current) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function links() {
  return [...services.querySelectorAll("a")];
}

filter.addEventListener("input", write);
filter.addEventListener("keydown", (event) => {
  if (event.key === "Enter") links()[0]?.click();
});
