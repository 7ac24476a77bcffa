// Drives a real browser against a running installation, one errand a run; prints the result as JSON.
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import { auditorErrands } from "./auditor.mjs";
import { clerkErrands } from "./clerk.mjs";
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
let shared = null;
const browser = () => (shared ??= chromium.launch(settings));
const profiles = [];

/** Open a page in a browser that knows nothing; `profile`: in one of its own, which keeps what it keeps in this folder. */
async function open({ language = "zh", theme = "light", width = 1280, profile = "" } = {}) {
  const look = { viewport: { width, height: 900 }, reducedMotion: "reduce" };
  const context = profile ? await chromium.launchPersistentContext(profile, { ...settings, ...look }) : await (await browser()).newContext(look);
  if (profile) profiles.push(context);
  await context.addInitScript(([l, t]) => {
    localStorage.setItem("skillplan-language", l);
    localStorage.setItem("skillplan-theme", t);
  }, [language, theme]);
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const record = { complaints: [], hosts: new Set(), scripts: 0 };
  // Docker's networks come and go beside us, and Chromium ends what is under way then; the page asks again.
  const isOfMachine = (text) => text.includes("net::ERR_NETWORK_CHANGED");
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && !isOfMachine(message.text()) && record.complaints.push(message.text()));
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

/** What axe finds on a page, whatever it thinks of its weight. */
const judge = async (page) => {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(require("fs").readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
};

const errands = {
  ...auditorErrands({ open, loaded, judge, options }),
  ...officeErrands({ open, loaded, go, judge, options }),
  ...clerkErrands({ open, loaded, judge, options }),

  /** How long a first visit takes until the overview can be used, by a browser that knows nothing yet. */
  async visit() {
    const { page } = await open();
    const began = Date.now();
    await page.goto(`${base}/#/${plan}?as_of=${options.as_of}`);
    await loaded(page);
    return { ms: Date.now() - began };
  },

  /** What a page of another origin shows of pages of the dashboard in its frames, and what the browser says about it. */
  async frames() {
    const { page, record } = await open();
    const frames = options.hashes.map((hash) => `<iframe src="${base}/${hash}" width="900" height="900"></iframe>`).join("");
    const portal = createServer((_, response) => response.setHeader("Content-Type", "text/html").end(frames));
    await new Promise((listening) => { portal.listen(Number(new URL(options.portal).port), "127.0.0.1", listening); });
    await page.goto(`${options.portal}/`);
    const shown = [];
    for (const frame of page.frames().slice(1)) {
      if (options.refused) shown.push(await frame.evaluate(() => document.body.innerText).catch(() => ""));
      else {
        await frame.waitForFunction(() => document.querySelector("main")?.innerText.length > 20 && !document.querySelector(".skeleton"), null, { polling: 50 });
        shown.push({ text: await frame.locator("main").innerText(), acts: await frame.locator("form, [data-act], .menu").count() });
      }
    }
    portal.close();
    return { shown, complaints: record.complaints };
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
          // What somebody wrote in words of their own stays in them, and says so.
          const texts = await page.locator("h2, h3, th, dt, button, label").evaluateAll((all) =>
            all.map((each) => [...each.querySelectorAll('[translate="no"]')].reduce((text, own) => text.replace(own.innerText, ""), each.innerText)));
          if (language === "en" && texts.some((text) => /[一-鿿]/.test(text.replace("中文", "")))) result.untranslated.push(what);
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
              result.axe.push(...(await judge(page)).map((violation) => `${what} at ${width}: ${violation}`));
            }
          }
          if (language === "zh" && theme === "light") {
            await page.emulateMedia({ media: "print" });
            await page.setViewportSize({ width: 688, height: 1000 }); // A4 without its margins
            const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            if (over > 0) result.wide.push(`${what} on paper: ${over} px`);
            if (name === "overview") await page.screenshot({ path: `${shots}/overview-print.png` });
            if (name === "overview") await page.pdf({ path: `${shots}/overview.pdf`, preferCSSPageSize: true });
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
    // What was asked for while it ended is asked for again once it is there.
    await page.waitForFunction(() => !document.querySelector(".failed"), null, { timeout: 15_000 }).catch(() => undefined);
    return { lost, value, failed: await page.locator(".failed").count() };
  },

  /** Where keys are set the page asks for one, once a session, stores it nowhere else, and forgets it on signing out. */
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
    const other = await (await (await browser()).newContext()).newPage();
    await other.goto(`${base}/#/${plan}?as_of=2025-06-30`);
    await other.waitForSelector("input[name=key]");
    await page.getByRole("button", { name: "退出" }).click();
    await page.waitForSelector("input[name=key]");
    await page.reload();
    await page.waitForSelector("input[name=key]");
    const kept = await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }) + document.cookie);
    return { refused, value, leaked: (stored + kept).includes(options.key) };
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
    await go(page, `#/${plan}/no-such-page?as_of=2025-06-30`);
    const unknown = await page.locator("main .state").innerText();
    await page.locator("main .state a").evaluate((link) => link.click()); // a click would be where Tab goes on from
    await page.waitForSelector(".headline");
    await go(page, `#/${plan}?as_of=2022-06-30`);
    const before = await page.locator("main .state").innerText();
    await go(page, `#/${plan}?as_of=2025-06-30&known_at=never`);
    const wrong = await page.locator("main .failed p").innerText();
    await go(page, `#/${plan}/measure/2.4?as_of=2023-01-01&indicator=2.4.c&district=330600`);
    const none = await page.locator("main .no-data").first().innerText();
    await go(page, `#/${plan}/measure/4.1?as_of=2025-06-15&indicator=4.1.b`);
    const gap = await page.locator("dl.lines div", { hasText: "与应达之差" }).locator("dd").innerText();
    await go(page, `#/${plan}/measure/2.3?as_of=2025-06-30&indicator=2.3.b&district=330624`);
    const unsplit = await page.locator("main").innerText();
    await go(page, `#/${plan}?as_of=2025-06-30&district=330624`);
    const monitored = await page.locator("details.monitored[open]").count();
    const row = await page.locator('a.row', { hasText: "2.3.b" }).evaluate((link) => link.textContent);
    await go(page, `#/${plan}?as_of=2025-06-30`);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    const focused = await page.evaluate(() => document.activeElement?.id);
    return { requests, unknown, before, wrong, none, gap, unsplit, monitored, row, focused, address: page.url() };
  },
};

try {
  console.log(JSON.stringify(await errands[errand]()));
} finally {
  for (const context of profiles) await context.close().catch(() => undefined); // killed
  await (await shared)?.close();
}
