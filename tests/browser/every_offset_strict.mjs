// The strict client, at every offset, in Node.
import { atEveryOffset } from "./every_offset.mjs";
import { strictClient } from "./strict_client.mjs";

const results = await atEveryOffset(JSON.parse(process.argv[2]), strictClient, 8);
console.log(JSON.stringify(results));
