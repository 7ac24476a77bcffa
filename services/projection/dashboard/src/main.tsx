// Puts the page together: what is asked (address), in which language and light, and whether it is live.
import { type JSX, render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Address, asking, type Page, query, read, to, write } from "./address";
import { type Plan, type Plans, TYPE_NAMES, type TypeNames } from "./answers";
import { askAgain, askAhead, type Connection, follow, onRefused, useAnswer, keepKey } from "./api";
import { clock, instant, today } from "./format";
import { type Key, language, said, show, speak, t } from "./language";
import { ClosingsPage } from "./closings";
import { DistrictPage, DistrictsPage } from "./districts";
import { FactsPage } from "./facts";
import { HealthPage } from "./health";
import { MeasurePage } from "./measure";
import { Overview } from "./overview";
import { ReceiptsPage } from "./receipts";
import { Failed, Note, Skeleton } from "./parts";
import "./style.css";

export interface View {
  plan: Plan;
  address: Address;
  asOf: string;
}

interface Beat {
  day: string;
  behind: number | null;
}

const NAVIGATION: [Page, Key][] = [
  ["overview", "nav.overview"],
  ["districts", "nav.districts"],
  ["receipts", "nav.receipts"],
  ["closings", "nav.closings"],
  ["health", "nav.health"],
];
const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const THEME_TEXT: Record<Theme, Key> = {
  system: "switch.theme.system",
  light: "switch.theme.light",
  dark: "switch.theme.dark",
};
const THEME = "skillplan-theme";

function theme(): Theme {
  return THEMES.find((one) => one === localStorage.getItem(THEME)) ?? "system";
}

function dress(): void {
  document.documentElement.dataset["theme"] = theme();
}

function App(): JSX.Element {
  const [address, setAddress] = useState(() => read(location.hash));
  const [, redraw] = useState(0);
  const [refused, setRefused] = useState(false);
  useEffect(() => {
    const moved = (): void => {
      const next = read(location.hash);
      setAddress((before) => {
        if (before.page !== next.page || before.id !== next.id) window.scrollTo(0, 0);
        return next;
      });
    };
    window.addEventListener("hashchange", moved);
    onRefused(() => setRefused(true));
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  const plans = useAnswer<Plans>("./v1/plans", true);
  const first = plans.data?.plans[0]?.id ?? "";
  const known = plans.data?.plans.some((plan) => plan.id === address.plan);
  const asked = known ? address.plan : first;
  const plan = useAnswer<Plan>(asked ? `./v1/plans/${encodeURIComponent(asked)}` : null, true);

  // Every view has its plan and its day in the address, so that what is sent to somebody shows him the same.
  const settled = known === true && Boolean(address.asked["as_of"]);
  useEffect(() => {
    if (settled || !asked) return;
    const full = write({ ...address, plan: asked, asked: { as_of: today(), ...address.asked } });
    history.replaceState(null, "", full);
    setAddress(read(full));
  }, [settled, asked, address]);

  const again = (): void => redraw((count) => count + 1);
  if (refused) {
    return (
      <AskKey
        done={() => {
          setRefused(false);
          askAgain();
        }}
      />
    );
  }
  const problem = plans.problem ?? plan.problem;
  if (!plan.data || !settled) {
    return (
      <>
        <header class="top">
          <Brand />
        </header>
        <main>
          {problem ? <Failed problem={problem} /> : plans.data && !first ? <Note title={t("state.empty.title")}>{t("state.empty.text")}</Note> : <Skeleton lines={14} />}
        </main>
      </>
    );
  }
  const view: View = { plan: plan.data, address, asOf: address.asked["as_of"] ?? today() };
  return <Whole key={plan.data.id} view={view} plans={plans.data!} again={again} />;
}

function Whole({ view, plans, again }: { view: View; plans: Plans; again: () => void }): JSX.Element {
  const { plan, address } = view;
  const [connection, setConnection] = useState<Connection>("connecting");
  const [beat, setBeat] = useState<Beat | null>(null);
  const [at, setAt] = useState(() => new Date());
  useEffect(() => {
    let day = today();
    let lost = false;
    return follow(
      `./v1/plans/${encodeURIComponent(plan.id)}/stream`,
      (state) => {
        if (lost && state === "live") askAgain();
        lost = state === "lost";
        setConnection(state);
      },
      (data) => {
        const told = data as Beat & { moved: boolean };
        setBeat(told);
        setAt(new Date());
        if (told.moved) askAgain();
        if (told.day !== day) {
          // A page that is left open over midnight goes on to the new day if it showed the old one's today.
          const now = read(location.hash);
          if (now.asked["as_of"] === day) location.replace(asking(now, { as_of: told.day }));
          day = told.day;
        }
      },
    );
  }, [plan.id]);
  useEffect(() => {
    document.title = `${said(plan.city)} · ${t("app.name")}`;
  });
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        {t("nav.skip")}
      </a>
      <header class="top">
        <Brand />
        <nav aria-label={t("nav.pages")}>
          {NAVIGATION.map(([page, text]) => (
            <a key={page} href={to(address, page)} aria-current={address.page === page ? "page" : undefined}>
              {t(text)}
            </a>
          ))}
        </nav>
        <div class="switches">
          <button
            type="button"
            class="icon"
            title={t(THEME_TEXT[theme()])}
            aria-label={t(THEME_TEXT[theme()])}
            onClick={() => {
              localStorage.setItem(THEME, THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]!);
              dress();
              again();
            }}
          >
            <ThemeIcon theme={theme()} />
          </button>
          <button type="button" class="icon print" title={t("switch.print")} aria-label={t("switch.print")} onClick={() => window.print()}>
            <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
              <path d="M6 7V3h8v4M6 15H3.5V8.5a1.5 1.5 0 0 1 1.5-1.500h10a1.5 1.5 0 0 1 1.5 1.500V15H14M6 12h8v5H6z" />
            </svg>
          </button>
          <button
            type="button"
            lang={language() === "zh" ? "en" : "zh-CN"}
            aria-label={t("switch.language.label")}
            onClick={() => {
              speak(language() === "zh" ? "en" : "zh");
              again();
            }}
          >
            {t("switch.language")}
          </button>
        </div>
      </header>
      <div class="under">
        <div class="title">
          <h1>{said(plan.title)}</h1>
          <p>{plan.document_no}</p>
        </div>
        <Freshness connection={connection} beat={beat} at={at} fixed={Boolean(address.asked["known_at"])} />
        <Controls view={view} plans={plans} />
      </div>
      <main id="main" tabIndex={-1}>
        <Shell view={view} />
      </main>
    </>
  );
}

function Shell({ view }: { view: View }): JSX.Element {
  useAnswer<TypeNames>(["facts", "receipts", "closings"].includes(view.address.page) ? TYPE_NAMES : null, true);
  switch (view.address.page) {
    case "measure":
      return <MeasurePage view={view} />;
    case "districts":
      return <DistrictsPage view={view} />;
    case "district":
      return <DistrictPage view={view} />;
    case "facts":
      return <FactsPage view={view} />;
    case "receipts":
      return <ReceiptsPage view={view} />;
    case "closings":
      return <ClosingsPage view={view} />;
    case "health":
      return <HealthPage view={view} />;
    default:
      return <Overview view={view} />;
  }
}

function Brand(): JSX.Element {
  return (
    <span class="brand">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M7 22.500h4.500V17H7zm6.75 0h4.500V12h-4.500zm6.75 0H25V7h-4.500z" />
      </svg>
      <span>{t("app.name")}</span>
    </span>
  );
}

function ThemeIcon({ theme: shown }: { theme: Theme }): JSX.Element {
  const paths: Record<Theme, string> = {
    system: "M3 4.500h14v9H3zM7 17h6M10 13.500V17",
    light: "M10 6.500a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 1.500v2M10 16.500v2M1.5 10h2M16.5 10h2M4 4l1.4 1.400M14.6 14.600L16 16M16 4l-1.4 1.400M5.4 14.600L4 16",
    dark: "M16.5 11.500A7 7 0 1 1 8.5 3.500a5.5 5.5 0 0 0 8 8z",
  };
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
      <path d={paths[shown]} />
    </svg>
  );
}

function Freshness({ connection, beat, at, fixed }: { connection: Connection; beat: Beat | null; at: Date; fixed: boolean }): JSX.Element {
  const text =
    connection === "lost"
      ? t("live.lost", { at: clock(at) })
      : connection === "connecting" || !beat
        ? t("live.connecting")
        : fixed
          ? t("live.fixed")
          : t("live.live", { at: clock(at) });
  const more = connection !== "live" || !beat ? "" : beat.behind === null ? t("live.unknown") : beat.behind ? t("live.behind", { count: beat.behind }) : "";
  return (
    <p class={`fresh ${connection}`} data-connection={connection}>
      <i aria-hidden="true" />
      <span>{text}</span>
      {more && <em>{more}</em>}
      {/* Said aloud only when the connection changes, not with every beat. */}
      <span class="unseen" role="status">
        {connection === "lost" ? t("live.lost", { at: clock(at) }) : ""}
      </span>
    </p>
  );
}

function Controls({ view, plans }: { view: View; plans: Plans }): JSX.Element {
  const { plan, address, asOf } = view;
  const go = (asked: Record<string, string>): void => {
    location.hash = asking(address, asked);
  };
  const years: string[] = [];
  for (let year = Number(plan.period.from.slice(0, 4)); year <= Number(plan.period.to.slice(0, 4)); year += 1) years.push(String(year));
  const now = today();
  // What districts were told, what was published and how the system is has no day to choose.
  const dated = !["receipts", "closings", "health"].includes(address.page);
  return (
    <form class="controls" onSubmit={(event) => event.preventDefault()}>
      {plans.plans.length > 1 && (
        <label>
          <span>{t("nav.plan")}</span>
          <select value={plan.id} onChange={(event) => { location.hash = write({ plan: event.currentTarget.value, page: "overview", id: "", asked: { as_of: asOf } }); }}>
            {plans.plans.map((one) => (
              <option key={one.id} value={one.id}>
                {said(one.title)}
              </option>
            ))}
          </select>
        </label>
      )}
      {(dated || address.page === "closings") && <label>
        <span>{t("asked.district")}</span>
        <select value={address.asked["district"] ?? ""} onChange={(event) => go({ district: event.currentTarget.value })}>
          <option value="">{t("asked.whole")}</option>
          {plan.districts.map((one) => (
            <option key={one.code} value={one.code}>
              {said(one.name)}
            </option>
          ))}
        </select>
      </label>}
      {dated && <label>
        <span>{t("asked.as_of")}</span>
        <input type="date" value={asOf} onChange={(event) => event.currentTarget.value && go({ as_of: event.currentTarget.value })} />
      </label>}
      {dated && <span class="days">
        {years
          .filter((year) => `${year}-12-31` < now)
          .map((year) => (
            <a key={year} href={asking(address, { as_of: `${year}-12-31` })} aria-current={asOf === `${year}-12-31` ? "true" : undefined}>
              {t("asked.year_end", { year })}
            </a>
          ))}
        <a href={asking(address, { as_of: now })} aria-current={asOf === now ? "true" : undefined}>
          {t("asked.today")}
        </a>
      </span>}
      {dated && address.asked["known_at"] && (
        <p class="filter">
          {t("asked.known_at", { at: instant(address.asked["known_at"]) })} <a href={asking(address, { known_at: "" })}>{t("asked.known_now")}</a>
        </p>
      )}
    </form>
  );
}

function AskKey({ done }: { done: () => void }): JSX.Element {
  const [wrong] = useState(() => sessionStorage.getItem("skillplan-key") !== null);
  return (
    <main class="ask">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          keepKey(String(new FormData(event.currentTarget).get("key")).trim());
          done();
        }}
      >
        <Brand />
        <h1>{t("key.title")}</h1>
        <p>{t("key.text")}</p>
        {wrong && <p role="alert">{t("key.wrong")}</p>}
        <label>
          <span>{t("key.label")}</span>
          <input name="key" type="password" required autocomplete="off" />
        </label>
        <button type="submit">{t("key.use")}</button>
      </form>
    </main>
  );
}

// The numbers are asked for at once, not only when plan and page are known to exist.
const opened = read(location.hash);
if (opened.plan && opened.asked["as_of"] && ["overview", "measure"].includes(opened.page)) {
  askAhead(`./v1/plans/${encodeURIComponent(opened.plan)}`);
  askAhead(`./v1/plans/${encodeURIComponent(opened.plan)}/progress${query(opened, "as_of", "known_at", "district")}`);
}
show();
dress();
render(<App />, document.getElementById("app")!);
