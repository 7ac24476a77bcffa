// Runs the script of the page that checks evidence packs over some packs, as the page does; prints what it found, a line each.
import { readFileSync } from "node:fs";
const [page, ...packs] = process.argv.slice(2);
const script = readFileSync(page, "utf8").match(/<script>([\s\S]*)<\/script>/)[1];
const check = new Function(`${script}; return check;`)();
for (const pack of packs) console.log(JSON.stringify(await check(new Uint8Array(readFileSync(pack)))));
