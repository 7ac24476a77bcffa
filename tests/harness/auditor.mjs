// What who checks numbers does in the browser: reads a difference, opens an evidence pack offline; errands of browser.mjs.
import { mkdirSync } from "node:fs";

const LARGE = { width: 1280, height: 720 };
const SMALL = { width: 360, height: 640 };

export function auditorErrands({ open, loaded, judge, options }) {
  const { base, shots } = options;
  const wide = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

  return {
    /** The page of what a rebuild would change, its first cell opened, at two widths. */
    async difference() {
      mkdirSync(shots, { recursive: true });
      const result = { axe: [], wide: [], complaints: [] };
      for (const width of [1280, 360]) {
        const { page, record } = await open({ width });
        await page.goto(`${base}/${options.hash}`);
        await loaded(page);
        result.none = await page.locator("main .state").allInnerTexts();
        result.commands = await page.locator("main .card code").allInnerTexts();
        result.rows = await page.locator("main tbody tr").evaluateAll((rows) =>
          rows.map((row) => [...row.cells].map((cell) => (cell.querySelector("summary") ?? cell).innerText.trim().replace(/\s+/g, " "))));
        if (result.rows.length) {
          await page.locator("main tbody summary").first().click();
          result.because = await page.locator("main tbody details[open] li").allInnerTexts();
        }
        result.axe.push(...(await judge(page)));
        result.wide.push(await wide(page));
        result.complaints.push(...record.complaints);
        await page.screenshot({ path: `${shots}/difference-${result.rows.length ? "beside" : "none"}-${width}.png` });
      }
      return result;
    },

    /** The page that checks packs, opened from the disk without a network: what its first screen says of a pack. */
    async pack() {
      mkdirSync(shots, { recursive: true });
      const result = { screens: [], axe: [], complaints: [], hosts: [] };
      for (const [name, size] of [["large", LARGE], ["small", SMALL]]) {
        const { page, record } = await open();
        await page.setViewportSize(size);
        await page.context().setOffline(true);
        await page.goto(options.page);
        await page.setInputFiles("#pack", options.pack);
        await page.waitForFunction(() => !["", "open"].includes(document.getElementById("verdict").className), null, { polling: 50 });
        await page.waitForTimeout(100); // a page that scrolls to what it found has done so
        result.screens.push(await page.locator("#verdict, #findings li").evaluateAll((parts) =>
          parts.filter((part) => { const { top, bottom } = part.getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; })
            .map((part) => part.innerText)));
        result.axe.push(...(await judge(page)));
        result.complaints.push(...record.complaints);
        result.hosts.push(...record.hosts);
        await page.screenshot({ path: `${shots}/pack-${name}.png` });
      }
      return result;
    },
  };
}
