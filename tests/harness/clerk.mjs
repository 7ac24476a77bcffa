// What a clerk does in the browser: a table dropped and sent, forms filled in; errands of browser.mjs.
import { execFileSync } from "node:child_process";
import { mkdirSync, readlinkSync } from "node:fs";

export function clerkErrands({ open, loaded, judge, options }) {
  const { base, plan, shots } = options;

  /** Everything that a page can have stored; what has rooms of its own is named. */
  const storage = (page) => page.evaluate(async () => JSON.stringify([
    localStorage, sessionStorage, location.href, document.cookie, (await indexedDB.databases()).map(({ name }) => `database: ${name}`),
    (await caches.keys()).map((name) => `cache: ${name}`), (await navigator.serviceWorker.getRegistrations()).map(({ scope }) => `worker: ${scope}`),
  ]));

  return {
    /** A newcomer's table from drop to receipts, servers and browser killed in the middle; then the same table again. */
    async table() {
      const seen = { language: options.language, width: options.width };
      let { page, record } = await open({ ...seen, profile: `${options.profiles}/first` });
      const width = async () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      const drop = async (file) => {
        await page.setInputFiles(".drop input", file);
        await page.waitForSelector(".send .main:not([disabled])");
      };
      const outcomes = async () => {
        await page.waitForSelector(".outcomes");
        await page.waitForSelector(".send .main:not([disabled])");
        return Object.fromEntries(await page.$$eval(".outcomes [data-status]", (all) => all.map(({ dataset }) => [dataset.status, Number(dataset.count)])));
      };
      const send = async () => {
        await page.click(".send .main");
        return outcomes();
      };
      const mend = async () => {
        for (const [cell, text] of Object.entries(options.mends)) {
          await page.fill(`[data-cell="${cell}"]`, text);
          await page.keyboard.press("Tab");
          await page.waitForFunction((name) => !document.querySelector(`[data-cell="${name}"]`), cell, { polling: 50 });
          await page.waitForSelector(".send .main:not([disabled])");
        }
      };
      const tables = `${base}/#/${plan}/tables?as_of=2025-06-30&district=330681`;
      await page.goto(tables);
      await loaded(page);
      await drop(options.file);
      const faulty = await page.$$eval("[data-cell]", (all) => all.map(({ dataset }) => dataset.cell));
      const reasons = await page.$$eval(".reasons p", (all) => all.map(({ innerText }) => innerText));
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: `${shots}/tables-${options.language}-${options.width}.png`, fullPage: true });
      const axe = [];
      axe.push(...(await judge(page)));
      const wide = [await width()];
      await mend();
      // Looked for from before the click: a table of two hundred rows may be through before that returns.
      const sending = page.evaluate(() => new Promise((resolve) => {
        new MutationObserver(() => document.querySelector(".send progress") && resolve(null)).observe(document.body, { childList: true, subtree: true });
      }));
      await page.click(".send .main");
      await sending;
      for (const pid of options.killed) process.kill(pid, "SIGKILL");
      if (options.doomed) {
        const lock = readlinkSync(`${options.profiles}/first/SingletonLock`); // <host>-<process>
        process.kill(Number(lock.split("-").at(-1)), "SIGKILL");
        ({ page, record } = await open({ ...seen, profile: `${options.profiles}/second` })); // it knows nothing of the first
        while (!(await page.goto(tables).catch(() => null))) await page.waitForTimeout(200);
        await loaded(page);
        await drop(options.file);
        await mend();
        await page.click(".send .main");
      }
      const first = await outcomes();
      axe.push(...(await judge(page)));
      wide.push(await width());
      await page.screenshot({ path: `${shots}/tables-sent-${options.language}-${options.width}.png`, fullPage: true });
      await page.reload();
      await loaded(page);
      await drop(options.file);
      const again = await send();
      await drop(options.changed);
      const changed = await send();
      const press = async (state, act) => {
        await page.click(`[data-state="${state}"] [data-act="${act}"]`);
        await page.waitForFunction((gone) => !document.querySelector(`[data-state="${gone}"]`), state, { polling: 50 });
        return outcomes();
      };
      const corrected = await press("changed", "correct");
      await page.click('[data-state="accepted"] [data-act="retract"]');
      await page.waitForSelector('[data-state="retracted"]');
      const retracted = await outcomes();
      const renewed = await press("retracted", "again");
      const wrong = [];
      for (const file of options.wrong) {
        await page.setInputFiles(".drop input", file);
        await page.waitForFunction(() => document.querySelector("[role=alert]") && document.querySelector(".drop small")?.dataset.busy === "false", null, { polling: 50 });
        wrong.push({ said: await page.locator("[role=alert]").first().innerText(), sendable: await page.locator(".send .main:not([disabled])").count() });
      }
      const stored = await storage(page);
      return { faulty, reasons, axe, wide, first, again, changed, corrected, retracted, renewed, wrong, stored, complaints: record.complaints };
    },

    /** Forms begun from reports that another browser sent: how many of the fields that they need are filled in, with whose
     * report it is and from which system. */
    async follow() {
      const { page, record } = await open();
      const begun = [];
      for (const { form, ...given } of options.followups) {
        const query = new URLSearchParams({ as_of: "2025-06-30", type: form, ...given });
        await page.goto(`${base}/#/${plan}/forms?${query}`);
        await page.waitForSelector(`.form[data-form="${form}"] form`);
        const needed = await page.$$eval('.fields :is(select:not([name="type"]), input), .form form :is(input, select, textarea):required', (all) => all.map(({ id, type, name, value, form: of }) =>
          ({ id, filled: type === "radio" ? Boolean(of.elements[name].value) : value !== "" })));
        begun.push({ form, corrects: Boolean(given.corrects), empty: needed.filter(({ filled }) => !filled).map(({ id }) => id), needed: needed.length });
      }
      return { begun, complaints: record.complaints };
    },

    /** A key pasted once: a shared link opens in a new tab, nothing but an HttpOnly cookie has it, and it ends. */
    async key() {
      const { page, record } = await open();
      const context = page.context();
      const first = `${base}/#/${plan}?as_of=2025-06-30`;
      const asks = (on) => on.waitForSelector('form input[name="key"]');
      const enter = async (on, key, keep) => {
        await (await asks(on)).fill(key);
        if (keep) await on.check('input[name="keep"]');
        await on.click('form button[type="submit"]');
      };
      const cookies = async () => (await context.cookies()).map(({ name, httpOnly, sameSite, expires }) =>
        ({ name, httpOnly, sameSite, days: expires < 0 ? 0 : Math.round((expires - Date.now() / 1000) / 86400) }));
      await page.goto(first);
      await enter(page, "sk_00000000_wrong", false);
      const refused = await page.locator("form [role=alert]").innerText();
      await enter(page, options.keys[0], false);
      await loaded(page);
      const session = await cookies();
      const tab = await context.newPage();
      await tab.goto(`${base}/#/${plan}/measure/4.1?as_of=2025-06-30`);
      await loaded(tab);
      const forged = await tab.evaluate(async () => {
        const response = await fetch("./v1/events", { method: "POST", body: new Blob([new Uint8Array(30e6)]) });
        return [response.status, (await response.json()).en];
      });
      const places = [await storage(page), await storage(tab)];
      await page.locator("header button", { hasText: /退出|Sign out/ }).first().click();
      await asks(page);
      const after = await cookies();
      await tab.reload();
      await asks(tab);
      await enter(tab, options.keys[1], true);
      await loaded(tab);
      const kept = await cookies();
      places.push(await storage(tab));
      execFileSync(options.revoke[0], options.revoke.slice(1));
      await tab.reload();
      await asks(tab);
      return { refused, session, forged, after, kept, ended: await cookies(), stored: places.join(""), complaints: record.complaints };
    },

    /** Forms filled in and sent while the network comes and goes: each goes out once, and no number of a person is stored. */
    async form() {
      const { page, record } = await open({ language: options.language, width: options.width, profile: `${options.profiles}/only` });
      const context = page.context();
      const axe = [];
      const stored = [];
      const store = async () => stored.push(await storage(page));
      const fill = async (fields, on = page) => {
        for (const [id, value] of Object.entries(fields)) {
          const field = on.locator(`[id="form_${id}"]`);
          if ((await field.evaluate(({ tagName }) => tagName)) === "SELECT") await field.selectOption({ index: value });
          else await field.fill(value);
        }
      };
      const verdict = (status) => page.waitForSelector(`[data-verdict="${status}"]`);
      await page.goto(`${base}/#/${plan}/forms?as_of=2025-06-30&district=330681&type=${options.type}`);
      await page.waitForSelector(".form form");
      await fill(options.wrong);
      await page.waitForSelector('[id="form_data_person_id_number__error"]');
      const fault = await page.locator('[id="form_data_person_id_number__error"]').innerText();
      await fill(options.forms[0]);
      await verdict("accepted");
      const counts = await page.locator("[data-verdict]").innerText();
      axe.push(...(await judge(page)));
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: `${shots}/forms-${options.language}-${options.width}.png`, fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      const labels = await page.locator("main label, main legend, main button").allInnerTexts();
      let flips = 0;
      let filled = false;
      const flipping = (async () => {
        while (flips < options.flips || !filled) {
          await context.setOffline(flips % 2 === 0);
          flips += 1;
          await page.waitForTimeout(20 + ((flips * 37) % 90));
        }
        await context.setOffline(false);
      })();
      for (const [at, fields] of options.forms.entries()) {
        if (at) await fill(fields);
        await page.click(".form .main");
        await store();
        // The answer may come first, and then the next form is there already.
        await page.click('[data-act="another"]');
      }
      filled = true;
      await flipping;
      await page.waitForFunction((all) => document.querySelectorAll('.sent li[data-status="accepted"]').length >= all, options.forms.length, { polling: 100 });
      await store();
      // Without a network a report about nobody waits in this browser, and goes out when the page is opened again.
      const again = await context.newPage();
      await again.goto(`${base}/#/${plan}/forms?as_of=2025-06-30&district=330681&type=${options.later.type}`);
      await again.waitForSelector(".form form");
      await context.setOffline(true);
      await fill(options.later.fields, again);
      await again.click(".form .main");
      await again.waitForFunction(() => JSON.parse(localStorage.getItem("skillplan-drafts") ?? "[]").some(({ queued }) => queued), null, { polling: 50 });
      await again.close();
      await context.setOffline(false);
      const last = await context.newPage();
      await last.goto(`${base}/#/${plan}/forms?as_of=2025-06-30&district=330681`);
      await last.waitForSelector('.sent li[data-status="accepted"]');
      const drafts = await last.evaluate(() => localStorage.getItem("skillplan-drafts"));
      return { fault, counts, axe, wide, labels, flips, stored: stored.join(""), drafts, complaints: record.complaints };
    },
  };
}
