// Drives a real browser against a running installation, one errand a run; prints the result as JSON.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { officeErrands } from "./office.mjs";

const [errand, options] = [process.argv[2], JSON.parse(process.argv[3])];
const require = createRequire(options.packages);
const { chromium } = require("playwright-core");
const { base, plan, shots } = options;
const TIMEOUT_MS = 60_000;
const WIDTHS = [1280, 768, 360];

const settings = {
  executablePath: options.chromium,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
};
const browser = await chromium.launch(settings);

async function open({ language = "zh", theme = "light", width = 1280, from = browser } = {}) {
  const context = await from.newContext({ viewport: { width, height: 900 }, reducedMotion: "reduce" });
  await context.addInitScript(([l, t]) => {
    localStorage.setItem("skillplan-language", l);
    localStorage.setItem("skillplan-theme", t);
  }, [language, theme]);
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const record = { complaints: [], hosts: new Set(), scripts: 0 };
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && record.complaints.push(message.text()));
  page.on("pageerror", (error) => record.complaints.push(error.message));
  page.on("request", (request) => record.hosts.add(new URL(request.url()).host));
  page.on("response", async (response) => {
    if (response.url().endsWith(".js")) record.scripts += gzipSync(await response.body()).length;
  });
  return { page, record };
}

const LOAD_MS = 25_000;

// Polled by the clock: a browser without a screen may stop drawing frames, and would not be polled again.
const untilLoaded = (page) =>
  page.waitForFunction(() => document.querySelector("main h2, main .state") && !document.querySelector(".skeleton")
    && [...document.querySelectorAll(".chart")].every((chart) => chart.dataset.ready === "true"), null, { polling: 20, timeout: LOAD_MS });

/** Wait until the page is complete; one that is not is printed and loaded once more. */
const loaded = async (page) => {
  try {
    await untilLoaded(page);
  } catch {
    console.error(`not loaded: ${page.url()}\n${await page.evaluate(() => document.body.innerHTML.slice(0, 4000))}`);
    await page.reload();
    await untilLoaded(page);
  }
};

const go = async (page, hash) => {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await page.waitForTimeout(50);
  await loaded(page);
};

const valueOf = (page, indicator) =>
  page.locator(`[data-indicator="${indicator}"] .value b`).first().innerText().then((text) => Number(text.replace(/[^0-9.]/g, "")));

const live = (page) => page.waitForSelector('.fresh[data-connection="live"]');

/** What axe finds on a page that matters. */
const judge = async (page) => {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(require("fs").readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes[0].target} ${nodes[0].failureSummary}`);
};

const errands = {
  ...officeErrands({ open, loaded, go, judge, options }),

  /** How long a first visit takes until the overview can be used, by a browser that knows nothing yet. */
  async visit() {
    const { page } = await open();
    const began = Date.now();
    await page.goto(`${base}/#/${plan}?as_of=${options.as_of}`);
    await loaded(page);
    return { ms: Date.now() - began };
  },

  /** A hire moves the number of an open page; how long after the API answered with it. */
  async journey() {
    const { page, record } = await open();
    await page.goto(`${base}/#/${plan}/measure/4.1?as_of=2024-12-31&indicator=4.1.b`);
    await loaded(page);
    await live(page);
    await page.evaluate(() => { window.sameDocument = true; });
    const progress = `${base}/v1/plans/${plan}/progress?as_of=2024-12-31`;
    const apiValue = async () => (await (await fetch(progress)).json()).indicators.find(({ id }) => id === "4.1.b").periods.at(-1).value;
    const lags = [];
    for (const report of options.reports) {
      const before = await valueOf(page, "4.1.b");
      const response = await fetch(`${options.recruitment}/v1/events`, {
        method: "POST",
        headers: { "content-type": "application/cloudevents+json" },
        body: JSON.stringify(report),
      });
      if (response.status !== 200) throw new Error(await response.text());
      const deadline = Date.now() + TIMEOUT_MS;
      while ((await apiValue()) !== before + 1) if (Date.now() > deadline) throw new Error("the API did not move");
      const moved = Date.now();
      while ((await valueOf(page, "4.1.b")) !== before + 1) {
        if (Date.now() > deadline) throw new Error("the page did not move");
        await page.waitForTimeout(20);
      }
      lags.push((Date.now() - moved) / 1000);
      if (lags.at(-1) < 2) break;
    }
    return { lags, sameDocument: await page.evaluate(() => window.sameDocument === true), complaints: record.complaints };
  },

  /** Every page, both languages, both themes, three widths, and paper. */
  async pages() {
    mkdirSync(shots, { recursive: true });
    const axe = require.resolve("axe-core/axe.min.js");
    const result = { complaints: [], hosts: [], wide: [], failed: [], axe: [], untranslated: [], scripts: 0, views: 0 };
    const hosts = new Set();
    for (const language of ["zh", "en"]) {
      for (const theme of ["light", "dark"]) {
        const { page, record } = await open({ language, theme });
        await page.goto(`${base}/#/${plan}?as_of=2025-06-30`);
        await loaded(page);
        await live(page);
        result.scripts = Math.max(result.scripts, record.scripts);
        for (const [name, hash] of Object.entries(options.pages)) {
          const what = `${name} ${language} ${theme}`;
          await page.setViewportSize({ width: 1280, height: 900 });
          await go(page, hash);
          if (await page.locator(".failed").count()) result.failed.push(`${what}: ${await page.locator(".failed").first().innerText()}`);
          if (language === "en" && (await page.locator("h2, h3, th, dt, button, label").allInnerTexts()).some((text) => /[一-鿿]/.test(text.replace("中文", ""))))
            result.untranslated.push(what);
          const narrow = language === "en" && theme === "dark";
          for (const width of WIDTHS) {
            await page.setViewportSize({ width, height: 900 });
            await page.waitForTimeout(30);
            const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (over > 0) result.wide.push(`${what} at ${width}: ${over} px`);
            result.views += 1;
            if ((width === 1280 && !narrow && (language === "zh" || theme === "light")) || (width === 360 && narrow)) {
              await page.screenshot({ path: `${shots}/${name}-${language}-${theme}-${width}.png` });
            }
            if ((width === 1280 && language === "zh") || (width === 360 && narrow)) {
              await page.evaluate(() => document.getElementById("axe") ?? null);
              if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(require("fs").readFileSync(axe, "utf8"));
              const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
              for (const violation of violations) {
                if (["serious", "critical"].includes(violation.impact)) result.axe.push(`${what} at ${width}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
              }
            }
          }
          if (language === "zh" && theme === "light") {
            await page.emulateMedia({ media: "print" });
            await page.setViewportSize({ width: 688, height: 1000 }); // A4 without its margins
            const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (over > 0) result.wide.push(`${what} on paper: ${over} px`);
            if (name === "overview") await page.screenshot({ path: `${shots}/overview-print.png` });
            await page.emulateMedia({ media: null });
          }
        }
        result.complaints.push(...record.complaints);
        for (const host of record.hosts) hosts.add(host);
        await page.context().close();
      }
    }
    result.hosts = [...hosts];
    return result;
  },

  /** The pictures of the documentation, each as a page stands in a window of its size. */
  async pictures() {
    mkdirSync(options.folder, { recursive: true });
    for (const [name, { hash, width, height }] of Object.entries(options.pictures)) {
      const { page } = await open({ width });
      await page.setViewportSize({ width, height });
      await page.goto(`${base}/${hash}`);
      await loaded(page);
      await live(page);
      if (await page.locator(".failed").count()) throw new Error(await page.locator(".failed").first().innerText());
      await page.screenshot({ path: `${options.folder}/${name}.png` });
      await page.context().close();
    }
    return {};
  },

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

  /** The API's own page lists every route from our files alone. */
  async reference() {
    const { page, record } = await open();
    await page.goto(`${base}/docs`);
    await page.waitForSelector(".opblock-summary");
    const paths = await page.locator(".opblock-summary-path").allInnerTexts();
    await page.locator(".opblock-summary").first().click();
    await page.waitForSelector(".opblock-body");
    await page.screenshot({ path: `${shots}/reference.png` });
    return { paths: paths.map((path) => path.replaceAll("\u200b", "")), complaints: record.complaints, hosts: [...record.hosts] };
  },

  /** The API goes away and comes back while a page is open. */
  async reconnect() {
    const { page } = await open();
    await page.goto(`${base}/#/${plan}?as_of=2025-06-30`);
    await loaded(page);
    await live(page);
    process.kill(options.pid, "SIGTERM");
    await page.waitForSelector('.fresh[data-connection="lost"]');
    const lost = await page.locator(".fresh").innerText();
    const value = await valueOf(page, "4.1.a");
    await live(page);
    return { lost, value, failed: await page.locator(".failed").count() };
  },

  /** Where keys are set the page asks for one, once a session, and stores it nowhere else. */
  async keyed() {
    const { page } = await open();
    await page.goto(`${base}/#/${plan}?as_of=2025-06-30`);
    await page.fill("input[name=key]", "sk_wrong_wrong");
    await page.keyboard.press("Enter");
    const refused = await page.locator("[role=alert]").innerText();
    await page.fill("input[name=key]", options.key);
    await page.keyboard.press("Enter");
    await loaded(page);
    await live(page);
    await page.reload();
    await loaded(page);
    await live(page);
    const value = await valueOf(page, "4.1.a");
    const stored = await page.evaluate(() => JSON.stringify(localStorage) + location.href + document.cookie);
    const other = await (await browser.newContext()).newPage();
    await other.goto(`${base}/#/${plan}?as_of=2025-06-30`);
    await other.waitForSelector("input[name=key]");
    return { refused, value, leaked: stored.includes(options.key) };
  },

  /** A newcomer's table from drop to receipts, servers and browser killed in the middle; then the same table again. */
  async table() {
    const seen = { language: options.language, width: options.width };
    const doomed = options.doomed ? await chromium.launchServer(settings) : null;
    let { page, record } = await open(doomed ? { ...seen, from: await chromium.connect(doomed.wsEndpoint()) } : seen);
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
    await page.click(".send .main");
    await page.waitForSelector(".send progress");
    for (const pid of options.killed) process.kill(pid, "SIGKILL");
    if (doomed) {
      await doomed.kill();
      ({ page, record } = await open(seen)); // a new browser, with nothing of the one before
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
    const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, location.href, document.cookie]));
    return { faulty, reasons, axe, wide, first, again, changed, corrected, retracted, renewed, wrong, stored, complaints: record.complaints };
  },

  /** Forms filled in and sent while the network comes and goes: each goes out once, and no number of a person is stored. */
  async form() {
    const { page, record } = await open({ language: options.language, width: options.width });
    const context = page.context();
    const axe = [];
    const stored = [];
    const store = async () => stored.push(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, location.href, document.cookie])));
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

  /** The states of a page without data, with a wrong parameter, and with an answer that is slow or never comes. */
  async states() {
    const { page } = await open({ width: 360 });
    let requests = 0;
    await page.route("**/progress?as_of=2025-06-30", (route) => {
      requests += 1;
      return requests === 1 ? undefined : route.continue(); // the first is never answered
    });
    await page.goto(`${base}/#/${plan}?as_of=2025-06-30`);
    await page.waitForSelector("main .skeleton");
    await untilLoaded(page); // by itself
    const late = await open();
    await late.page.route(`**/v1/plans/${plan}`, async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await route.continue();
    });
    await late.page.addInitScript(() => { // the answer comes after the part was drawn, and before it asks: two seconds
      const real = window.setTimeout;
      window.setTimeout = (act, ms, ...given) => real(act, (ms ?? 0) < 100 ? 1000 : ms, ...given);
      window.requestAnimationFrame = (act) => real(act, 1000);
    });
    await late.page.goto(`${base}/#/${plan}?as_of=2025-05-31`);
    await untilLoaded(late.page);
    await go(page, `#/${plan}?as_of=2022-06-30`);
    const before = await page.locator("main .state").innerText();
    await go(page, `#/${plan}?as_of=2025-06-30&known_at=never`);
    const wrong = await page.locator("main .failed p").innerText();
    await go(page, `#/${plan}/measure/2.4?as_of=2023-01-01&indicator=2.4.c&district=330600`);
    const none = await page.locator("main .no-data").first().innerText();
    await go(page, `#/${plan}?as_of=2025-06-30`);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    const focused = await page.evaluate(() => document.activeElement?.id);
    return { requests, before, wrong, none, focused, address: page.url() };
  },
};

try {
  console.log(JSON.stringify(await errands[errand]()));
} finally {
  await browser.close();
}
