// What an office does in the browser: notes, months, targets, and charts to take away; errands of browser.mjs.
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

  /** Post a report, as a district's own program does. */
  const report = async (event) => {
    const response = await fetch(`${base}/v1/events`, { method: "POST", headers: { "content-type": "application/cloudevents+json" }, body: JSON.stringify(event) });
    if (response.status !== 200) throw new Error(await response.text());
  };
  const state = (page, district, wanted) => page.waitForSelector(`.desk tr[data-district="${district}"][data-state="${wanted}"]`);
  const press = async (page, action, district = "") => {
    await page.click(`.desk ${district && `tr[data-district="${district}"] `}[data-act="${action}"]`);
    await page.waitForSelector(".act .main:not([disabled])");
  };

  return {
    /** The charts of pages, each saved as a file. */
    async picture() {
      const { page, record } = await open();
      for (const hash of options.pages) {
        await page.goto(`${base}/${hash}`);
        await loaded(page);
        const saved = page.waitForEvent("download");
        await page.locator(".take button").first().click();
        const file = await saved;
        await file.saveAs(`${options.folder}/${file.suggestedFilename()}`);
      }
      return { complaints: record.complaints };
    },

    /** A month from its submission to its restatement, by two people; what one of them may not do is said to him. */
    async month() {
      mkdirSync(shots, { recursive: true });
      const { district, month, names, late } = options;
      const clerk = await open();
      const planner = await open({ language: "en" });
      const pages = [clerk.page, planner.page];
      for (const page of pages) {
        await page.goto(`${base}/#/${plan}/closings/${month}?as_of=${options.as_of}`);
        await loaded(page);
        await page.waitForSelector(".desk");
      }
      const axe = await judge(clerk.page);
      await press(clerk.page, "submit", district);
      await clerk.page.waitForSelector(".act table");
      await act(clerk.page, { by: names.clerk });
      await state(clerk.page, district, "submitted");
      await report(late[0]);
      // What came since the submission is seen before it is approved.
      await planner.page.reload();
      await loaded(planner.page);
      await state(planner.page, district, "submitted");
      const since = async () => {
        await press(planner.page, "approve", district);
        await planner.page.waitForSelector(".act .hint");
        return planner.page.locator(".act .hint").innerText();
      };
      for (let tries = 0; !(await since()).includes(": 1") && tries < 40; tries += 1) {
        await planner.page.reload();
        await loaded(planner.page);
        await planner.page.waitForSelector(".desk");
      }
      const moved = await planner.page.locator(".act tbody tr").first().innerText();
      axe.push(...(await judge(planner.page)));
      await planner.page.screenshot({ path: `${shots}/month-approve-en-1280.png`, fullPage: true });
      await press(planner.page, "return", district);
      await act(planner.page, { items: "4.1.b; 1.3.a", message: options.message, by: names.planner });
      await state(clerk.page, district, "returned");
      const returned = await clerk.page.locator(`tr[data-district="${district}"] .why`).innerText();
      await press(clerk.page, "submit", district);
      await act(clerk.page, { by: names.clerk });
      await state(planner.page, district, "submitted");
      await press(planner.page, "approve", district);
      await act(planner.page, { by: names.planner });
      await state(planner.page, district, "approved");
      await press(planner.page, "override");
      await act(planner.page, { why: options.why, by: names.head });
      await planner.page.waitForSelector('.desk [data-act="close"]');
      await press(clerk.page, "submit", options.other); // left open while the month is closed
      await press(planner.page, "close");
      await act(planner.page, { by: names.planner });
      await planner.page.waitForSelector(".desk .status.met");
      await act(clerk.page, { by: names.clerk });
      await clerk.page.waitForSelector(".act .failed");
      const closed = await clerk.page.locator(".act .failed").innerText();
      await report(late[1]);
      await clerk.page.reload();
      await loaded(clerk.page);
      await press(clerk.page, "request-restatement");
      await act(clerk.page, { why: options.why, by: names.clerk });
      await planner.page.waitForSelector('.desk [data-act="restate"]');
      await press(planner.page, "restate");
      await act(planner.page, { by: ` ${names.clerk}` });
      const own = await faultOf(planner.page, "by");
      const publications = await planner.page.locator(".reports li b", { hasText: "Restated" }).count();
      await planner.page.screenshot({ path: `${shots}/month-restate-en-1280.png`, fullPage: true });
      await act(planner.page, { by: names.head });
      await planner.page.waitForFunction(() => [...document.querySelectorAll(".reports b")].some(({ innerText }) => innerText === "Restated"), null, { polling: 100 });
      const narrow = await open({ theme: "dark", width: 360 });
      await narrow.page.goto(`${base}/#/${plan}/closings/${options.open}?as_of=${options.as_of}`);
      await loaded(narrow.page);
      await press(narrow.page, "submit", district);
      await narrow.page.waitForSelector(".act table");
      axe.push(...(await judge(narrow.page)));
      const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await narrow.page.screenshot({ path: `${shots}/month-zh-dark-360.png`, fullPage: true });
      await clerk.page.screenshot({ path: `${shots}/month-zh-1280.png`, fullPage: true });
      return { moved, returned, closed, own, publications, axe, wide, complaints: [clerk, planner, narrow].flatMap(({ record }) => record.complaints) };
    },

    /** A target revised with a preview and split by a proposal; what is no number or does not add up changes nothing. */
    async targets() {
      mkdirSync(shots, { recursive: true });
      const { page, record } = await open();
      await page.goto(`${base}/#/${plan}/targets/${options.indicator}?as_of=${options.as_of}`);
      await loaded(page);
      const whole = () => page.locator(`[data-period="${options.period}"] dd`).first().innerText();
      const before = await whole();
      await page.click('.desk [data-act="revise"]');
      await page.waitForSelector(".act .main:not([disabled])");
      await act(page, { value: "many", by: options.by, effective_from: options.from });
      const wrong = await faultOf(page, "value");
      await page.fill('.act [name="value"]', options.value);
      await page.waitForSelector(".act .preview");
      const preview = await page.locator(".act .preview").innerText();
      const axe = await judge(page);
      await page.screenshot({ path: `${shots}/target-revise-zh-1280.png`, fullPage: true });
      const unchanged = await whole();
      await act(page, { why: options.why, clause: options.clause });
      await page.waitForFunction(([period, text]) => document.querySelector(`[data-period="${period}"] dd`).innerText !== text, [options.period, before], { polling: 50 });
      const after = await whole();
      await page.click('.desk [data-act="districts"]');
      await page.waitForSelector(".act .main:not([disabled])");
      await page.locator(".act [data-proposal]").first().click();
      await page.waitForSelector('.act .sum[data-gap="0"]');
      const proposals = await page.locator(".act [data-proposal]").allInnerTexts();
      const proposed = await page.locator('.act [name="330602"]').inputValue();
      await act(page, { 330602: "1", by: options.by, why: options.why });
      const gap = await faultOf(page, "difference");
      await page.screenshot({ path: `${shots}/target-split-zh-1280.png`, fullPage: true });
      await act(page, { 330602: proposed });
      await page.waitForFunction((period) => document.querySelectorAll(`[data-period="${period}"] dd`).length > 1, options.period, { polling: 50 });
      const parts = await page.locator(`[data-period="${options.period}"] dd`).allInnerTexts();
      // Where the target is shown it is said since when, why and by which document it holds.
      await go(page, `#/${plan}/measure/${options.measure}?as_of=${options.as_of}&indicator=${options.indicator}`);
      await page.click(".since summary");
      const since = await page.locator(".since").innerText();
      await page.screenshot({ path: `${shots}/target-since-zh-1280.png` });
      // A district that has a target of its own now is asked why it is red.
      await go(page, `#/${plan}/district/330681?as_of=${options.as_of}`);
      await page.waitForSelector(".asked a");
      const asked = await page.locator(".asked").allInnerTexts();
      const narrow = await open({ language: "en", theme: "dark", width: 360 });
      await narrow.page.goto(`${base}/#/${plan}/targets/${options.indicator}?as_of=${options.as_of}`);
      await loaded(narrow.page);
      await narrow.page.click('.desk [data-act="months"]');
      await narrow.page.waitForSelector(".act .sum");
      axe.push(...(await judge(narrow.page)));
      const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await narrow.page.screenshot({ path: `${shots}/target-en-dark-360.png`, fullPage: true });
      return { before, wrong, preview, unchanged, after, proposals, gap, parts, since, asked, axe, wide, complaints: [...record.complaints, ...narrow.record.complaints] };
    },

    /** Each role behind its own key: what it is shown, and what it may do. */
    async roles() {
      const { keys, as_of: day, district, indicator, measure, month, target } = options;
      const records = [];
      const signedIn = async (name) => {
        const { page, record } = await open();
        records.push(record);
        await page.goto(`${base}/#/${plan}?as_of=${day}`);
        await page.fill("input[name=key]", keys[name]);
        await page.keyboard.press("Enter");
        await page.waitForSelector(".headline");
        record.complaints.length = 0; // the first answers were that a key is needed
        return page;
      };
      const cell = `#/${plan}/measure/${measure}?as_of=${day}&indicator=${indicator}`;
      const to = async (page, hash, selector) => {
        await go(page, hash);
        await page.waitForSelector(selector);
      };
      const ready = (page) => page.waitForSelector(".act .main:not([disabled])");
      const actsOf = (page) => page.locator(`.desk tr`).evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll("[data-act]")].map((button) => button.dataset.act).filter((action) => action !== "figures")).filter((acts) => acts.length));
      const write = async (page, hash) => {
        await to(page, hash, ".notes .write");
        await page.click(".notes .write");
        await ready(page);
        const by = await page.locator('.act [name="by"]').inputValue();
        await act(page, { cause: options.cause, next_step: options.next_step });
        await page.waitForSelector(".notes .note");
        return { by, note: await page.locator(".notes .note").first().innerText() };
      };
      const desk = `#/${plan}/closings/${month}?as_of=${day}`;

      let page = await signedIn("director");
      const headline = await page.locator(".headline").innerText();
      const briefing = await page.evaluate(async (path) => (await (await fetch(path)).text()).slice(0, 8), `./v1/plans/${plan}/briefing?month=2025-05&format=pdf`);
      await to(page, cell, ".notes .hint, .notes .asked, .notes .note");
      const writes = await page.locator(".notes .write").count();
      await to(page, desk, ".desk tbody tr");
      const none = (await actsOf(page)).length;
      await to(page, `#/${plan}/targets/${target}?as_of=${day}`, ".files");
      const director = { headline, briefing, writes, month: none, acts: await page.locator(".desk [data-act]").count() };

      page = await signedIn("district");
      await to(page, cell, ".notes .hint, .notes .asked, .notes .note");
      const whole = await page.locator(".notes .write").count();
      const own = { ...(await write(page, `${cell}&district=${district}`)), writes_whole: whole };
      await to(page, desk, ".desk [data-act=submit]");
      own.month = await actsOf(page);
      await press(page, "submit", district);
      await act(page, {});
      await state(page, district, "submitted");

      page = await signedIn("unit");
      const unit = await write(page, cell);
      await to(page, desk, ".desk tbody tr");
      unit.month = (await actsOf(page)).filter((acts) => !acts.includes("submit"));

      page = await signedIn("office");
      await to(page, desk, `.desk tr[data-district="${district}"] [data-act=approve]`);
      const office = { month: (await actsOf(page)).filter((acts) => !acts.includes("submit")) };
      await press(page, "approve", district);
      office.by = await page.locator('.act [name="by"]').inputValue();
      await act(page, {});
      await state(page, district, "approved");
      await to(page, `#/${plan}/targets/${target}?as_of=${day}`, ".files button");
      office.acts = await page.locator(".desk:not(.files) [data-act]").evaluateAll((buttons) => buttons.map((button) => button.dataset.act));
      office.files = await page.locator(".files button").count();
      return { director, district: own, unit, office, complaints: records.flatMap(({ complaints }) => complaints).filter((text) => !text.includes("401")) };
    },

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
      // Its lead unit is asked about the others.
      await go(page, `#/${plan}/body/hrss?as_of=${options.as_of}`);
      await page.waitForSelector("main .asked");
      const unit = await page.locator("main .asked").innerText();
      await go(page, `#/${plan}?as_of=${options.as_of}`);
      const worst = page.locator('.attention li:not(:has([href*="indicator=4.1.b"]))').first();
      const indicator = new URLSearchParams((await worst.locator("a").getAttribute("href")).split("?")[1]).get("indicator");
      const { indicators } = await (await fetch(`${base}/v1/plans/${plan}/progress?as_of=${options.as_of}`)).json();
      const { period } = indicators.find(({ id }) => id === indicator).periods.at(-1);
      const cell = { plan, indicator, period, of: "330600" };
      await report({ ...options.note, subject: ["note", ...Object.values(cell)].join("/"), data: { ...options.note.data, ...cell } });
      await worst.locator(".noted").waitFor();
      const first = await worst.locator(".noted").innerText();
      const narrow = await open({ language: "en", theme: "dark", width: 360 });
      await narrow.page.goto(`${base}/${place}`);
      await loaded(narrow.page);
      await narrow.page.click(".notes .write");
      await narrow.page.waitForSelector(".act .main");
      axe.push(...(await judge(narrow.page)));
      const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await narrow.page.locator(".notes").screenshot({ path: `${shots}/note-form-en-dark-360.png` });
      return { asked, faults, unwritten, written, elements, line, unit, first, axe, wide, complaints: [...record.complaints, ...narrow.record.complaints] };
    },
  };
}
