// Puts the page together: address, plan, language, theme, and the stream that keeps it live.
import { type JSX, render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { setOnUnauthorized } from "./api/client";
import { prefetch, refetchAll, useQuery } from "./api/queries";
import { type Path, pathOf } from "./api/routes";
import { type Connection, follow } from "./api/stream";
import type { Plan, PlanList, StreamEvent } from "./api/schema";
import { BodiesPage } from "./pages/bodies";
import { BodyPage } from "./pages/body";
import { DistrictPage } from "./pages/district";
import { DistrictsPage } from "./pages/districts";
import { FactsPage } from "./pages/facts";
import { HealthPage } from "./pages/health";
import { MeasurePage } from "./pages/measure";
import { OverviewPage } from "./pages/overview";
import { ReceiptsPage } from "./pages/receipts";
import { UnknownPage } from "./pages/unknown";
import { type Address, fitsFrames, formatHash, framed, type Page, parseHash, withParams } from "./parts/address";
import { Asked, Controls } from "./parts/controls";
import { Freshness } from "./parts/freshness";
import { Brand, Header } from "./parts/header";
import { KeyForm } from "./parts/key";
import { Failed, Note, Skeleton } from "./parts/states";
import { applyTheme } from "./parts/theme";
import { keepNothingTyped } from "./parts/unkept";
import { matrixPath, notesPath, progressPath, type View } from "./parts/view";
import { day, setExampleDay, today } from "./texts/format";
import { applyLanguage, localized, t } from "./texts/language";
import { TYPE_NAMES } from "./texts/names";
import "./style.css";
import "./form.css";
import "./paper.css";

type PageOf = (props: { view: View }) => JSX.Element;

/** A page whose code is loaded when it is first opened. */
function lazy(load: () => Promise<PageOf>): PageOf {
  return ({ view }) => {
    const [Content, setContent] = useState<{ page: PageOf } | null>(null);
    useEffect(() => {
      void load().then((page) => setContent({ page }));
    }, []);
    return Content ? <Content.page view={view} /> : <Skeleton />;
  };
}

const PAGES: Record<Page, PageOf> = {
  overview: OverviewPage,
  measure: MeasurePage,
  districts: DistrictsPage,
  district: DistrictPage,
  bodies: BodiesPage,
  body: BodyPage,
  facts: FactsPage,
  receipts: ReceiptsPage,
  tables: lazy(async () => (await import("./pages/tables")).TablesPage),
  forms: lazy(async () => (await import("./pages/forms")).FormsPage),
  closings: lazy(async () => (await import("./pages/closings")).ClosingsPage),
  targets: lazy(async () => (await import("./pages/targets")).TargetsPage),
  health: HealthPage,
  difference: lazy(async () => (await import("./pages/difference")).DifferencePage),
  unknown: UnknownPage,
};
const PAGES_WITH_TYPE_NAMES: readonly Page[] = ["facts", "receipts", "closings", "difference"];

function planPath(id: string): Path<Plan> {
  return pathOf("/v1/plans/{plan}", { plan: id });
}

const PLANS = pathOf("/v1/plans", {});
/** How long a page is left alone before it asks whether its first numbers have moved since. */
const SETTLING_MS = 2000;

/** Request at once what a page shows first, before plan and page are known to exist: nothing waits for another answer. */
function prefetchPage({ plan: id, page, params }: Address): void {
  if (!id || !params["as_of"] || !["overview", "measure"].includes(page)) return;
  const named = { plan: { id }, address: { params } };
  for (const path of [planPath(id), progressPath(named), matrixPath(named), ...(page === "overview" ? [notesPath(named)] : [])]) prefetch(path);
}

function App(): JSX.Element {
  const [address, setAddress] = useState(() => parseHash(location.hash));
  const [, setDrawings] = useState(0);
  const [keyNeeded, setKeyNeeded] = useState(false);
  useEffect(() => {
    const onHashChange = (): void => {
      const next = parseHash(location.hash);
      setAddress((before) => {
        if (before.page !== next.page || before.id !== next.id) window.scrollTo(0, 0);
        return next;
      });
    };
    window.addEventListener("hashchange", onHashChange);
    setOnUnauthorized(() => setKeyNeeded(true));
    return () => window.removeEventListener("hashchange", onHashChange);
  }, []);
  const plans = useQuery(PLANS, true);
  setExampleDay(plans.data?.example_day ?? null);
  const first = plans.data?.plans[0]?.id ?? "";
  const known = plans.data?.plans.some((plan) => plan.id === address.plan);
  const id = known ? address.plan : first;
  const plan = useQuery(id ? planPath(id) : null, true);

  // The address always names plan and day, so that whoever it is sent to sees the same.
  const complete = known === true && Boolean(address.params["as_of"]);
  useEffect(() => {
    if (complete || !id) return;
    const hash = formatHash({ ...address, plan: id, params: { as_of: today(), ...address.params } });
    history.replaceState(null, "", hash);
    prefetchPage(parseHash(hash));
    setAddress(parseHash(hash));
  }, [complete, id, address]);

  if (framed && (keyNeeded || !fitsFrames(address.page))) return <Outside />;
  if (keyNeeded) {
    return (
      <KeyForm
        onDone={() => {
          setKeyNeeded(false);
          refetchAll();
        }}
      />
    );
  }
  if (!plan.data || !plans.data || !complete) {
    const problem = plans.problem ?? plan.problem;
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
  const view: View = { plan: plan.data, address, asOf: address.params["as_of"] ?? today() };
  return <Layout key={plan.data.id} view={view} plans={plans.data} redraw={() => setDrawings((count) => count + 1)} />;
}

/** In a frame, what is not shown there: a link to it, in a window of its own. */
function Outside(): JSX.Element {
  return (
    <main>
      <Note title={t("frame.title")}>
        {t("frame.text")} <a href={location.href} target="_blank" rel="noreferrer">{t("frame.open")}</a>
      </Note>
    </main>
  );
}

/** Follow a plan's stream: when its numbers move everything is requested again. */
function useStream(plan: string): { connection: Connection; event: StreamEvent | null; at: Date } {
  const [connection, setConnection] = useState<Connection>("connecting");
  const [event, setEvent] = useState<StreamEvent | null>(null);
  const [at, setAt] = useState(() => new Date());
  useEffect(() => {
    let shown = today();
    let lost = false;
    // The first event tells of no move that the page has seen: it is made sure of once the page stands.
    let settling = 0;
    const stop = follow(`${planPath(plan)}/stream`, {
      onConnection: (state) => {
        if (lost && state === "live") refetchAll();
        lost = state === "lost";
        setConnection(state);
      },
      onEvent: (data) => {
        const next = data as StreamEvent;
        setEvent(next);
        setAt(new Date());
        if (next.moved && settling) refetchAll();
        settling ||= window.setTimeout(() => lost || refetchAll(), SETTLING_MS); // once it is there again it is asked anyway
        if (next.day === shown) return;
        // A page left open over midnight goes on to the new day if it shows the old day as today.
        const open = parseHash(location.hash);
        if (open.params["as_of"] === shown) location.replace(withParams(open, { as_of: next.day }));
        shown = next.day;
      },
    });
    return () => {
      clearTimeout(settling);
      stop();
    };
  }, [plan]);
  return { connection, event, at };
}

function Layout({ view, plans, redraw }: { view: View; plans: PlanList; redraw: () => void }): JSX.Element {
  const { plan, address } = view;
  const { connection, event, at } = useStream(plan.id);
  useEffect(() => {
    document.title = `${localized(plan.city)} · ${t("app.name")}`;
  });
  useQuery(PAGES_WITH_TYPE_NAMES.includes(address.page) ? TYPE_NAMES : null, true);
  const PageContent = PAGES[address.page];
  return (
    <>
      <a class="skip" href="#main" onClick={(click) => { click.preventDefault(); document.getElementById("main")?.focus(); }}>
        {t("nav.skip")}
      </a>
      {!framed && <Header address={address} redraw={redraw} />}
      <section class="under" aria-labelledby="plan">
        <div class="title">
          <h1 id="plan">{localized(plan.title)}</h1>
          <p>{plan.document_no}</p>
          {plans.example_day && <p class="example">{t("example.is", { day: day(plans.example_day) })}</p>}
          <Asked view={view} at={at} />
        </div>
        <Freshness connection={connection} event={event} at={at} fixed={Boolean(address.params["known_at"])} />
        {framed ? <a href={location.href} target="_blank" rel="noreferrer">{t("frame.open")}</a> : <Controls view={view} plans={plans} />}
      </section>
      <main id="main" tabIndex={-1}>
        <PageContent view={view} />
      </main>
      <footer class="hint">{t("app.times")}</footer>
    </>
  );
}

prefetch(PLANS);
prefetchPage(parseHash(location.hash));
applyLanguage();
applyTheme();
keepNothingTyped();
const root = document.getElementById("app")!;
root.replaceChildren(); // what said that the page did not open
render(<App />, root);
