/** Makes an element with properties, among them perhaps `class`, and with what is in it. */
export function element(name, { class: className = "", ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  if (className) made.className = className;
  made.append(...children);
  return made;
}
