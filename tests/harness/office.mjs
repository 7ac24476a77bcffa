// What an office does in the browser: notes on numbers, and the months of a plan; errands of browser.mjs.
import { mkdirSync } from "node:fs";

export function officeErrands({ open, loaded, go, judge, options }) {
  const { base, plan, shots } = options;

  /** Fill in the fields of the act that is open and send it. */
  const act = async (page, fields, form = ".act") => {
    for (const [name, value] of Object.entries(fields)) await page.fill(`${form} [name="${name}"]`, value);
    await page.click(`${form} .main`);
  };
  const faultOf = async (page, field, form = ".act") => {
    await page.waitForSelector(`${form} #fault-${field}`);
    return page.locator(`${form} #fault-${field}`).innerText();
  };

  return {
    /** A note on a number that has turned red: asked for, refused beside the field it is wrong in, written, shown. */
    async note() {
      mkdirSync(shots, { recursive: true });
      const { page, record } = await open();
      const place = `#/${plan}/measure/4.1?as_of=${options.as_of}&indicator=4.1.b`;
      await page.goto(`${base}/${place}`);
      await loaded(page);
      const asked = await page.locator(".notes .asked").innerText();
      await page.click(".notes .write");
      await act(page, { cause: "", next_step: "" });
      const faults = { empty: await faultOf(page, "cause") };
      let last = faults.empty;
      for (const [name, cause] of Object.entries(options.wrong)) {
        await act(page, { cause, next_step: options.next_step, by: options.by });
        await page.waitForFunction((before) => !document.querySelector(".act .main").disabled && document.querySelector("#fault-cause")?.innerText !== before, last, { polling: 50 });
        last = faults[name] = await faultOf(page, "cause");
      }
      const axe = await judge(page);
      await page.locator(".notes").screenshot({ path: `${shots}/note-form-zh-1280.png` });
      const unwritten = await page.locator(".notes .note").count();
      await act(page, { cause: options.cause });
      await page.waitForSelector(".notes .note");
      const written = await page.locator(".notes .note").first().innerText();
      const elements = await page.locator(".notes .note dd *").count();
      // A district's own, read on its page and under the whole's.
      await go(page, `${place}&district=330681`);
      await page.click(".notes .write");
      await act(page, { cause: options.cause, next_step: options.next_step });
      await page.waitForSelector(".notes .note");
      await go(page, `#/${plan}/district/330681?as_of=${options.as_of}`);
      await page.waitForSelector(".noted");
      const line = await page.locator(".noted").first().innerText();
      await page.screenshot({ path: `${shots}/note-district-zh-1280.png`, fullPage: true });
      const narrow = await open({ language: "en", theme: "dark", width: 360 });
      await narrow.page.goto(`${base}/${place}`);
      await loaded(narrow.page);
      await narrow.page.click(".notes .write");
      await narrow.page.waitForSelector(".act .main");
      axe.push(...(await judge(narrow.page)));
      const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await narrow.page.locator(".notes").screenshot({ path: `${shots}/note-form-en-dark-360.png` });
      return { asked, faults, unwritten, written, elements, line, axe, wide, complaints: [...record.complaints, ...narrow.record.complaints] };
    },
  };
}
