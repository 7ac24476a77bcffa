// Says what is wrong with an AsyncAPI document: one line a fault, exit code 1 when there is one.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
for (const { severity, path, message } of diagnostics) {
  console.log(`${["error", "warning", "info", "hint"][severity]} ${path.join(".")}: ${message}`);
}
if (document === undefined) process.exit(1);
console.log(`channels=${document.channels().all().length} messages=${document.messages().all().length}`);
