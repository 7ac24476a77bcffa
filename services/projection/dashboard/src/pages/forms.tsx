// One report by a form: chosen or begun from what is open, judged while it is filled in, sent once, drafts kept.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api/client";
import { type Content, contentOf, FORM_NAMES, type FormName, formOf, type Heading, impersonal, merged, type ReportForm, reportOf } from "../api/forms";
import { useQuery } from "../api/queries";
import { currentSession, type Receipt, recordedReport } from "../api/tables";
import { type Params, withParams } from "../parts/address";
import { deliver, type Draft, drafts, dropDraft, keepDraft, keepSent, newId, pending, sentContent, settledDrafts } from "../parts/drafts";
import { SchemaForm } from "../parts/form";
import { GoesOn } from "../parts/goes_on";
import { rememberOrganisations, withNames } from "../parts/organisations";
import { STATUS_COLOURS } from "../parts/reports";
import { Loaded, Sentence } from "../parts/states";
import type { View } from "../parts/view";
import { dayOf, today } from "../texts/format";
import { localized, t } from "../texts/language";
import { serviceName, statusName } from "../texts/names";

/** What is on the page: a form and what is in it. */
interface Open {
  form: ReportForm;
  heading: Heading;
  content: Content;
}

interface Sent {
  heading: Heading;
  form: ReportForm;
  subject: string;
  receipt: Receipt;
}

/** What an earlier report said: as this browser remembers it, else as its service has recorded it, without persons. */
async function saidBefore({ source = "", report = "" }: Params): Promise<Content> {
  const before = sentContent(source, report);
  if (before.data || !source || !report) return before;
  const recorded = await recordedReport(source, report);
  if (!recorded) return {};
  const data = Object.assign({}, ...recorded.decided.map((decision) => decision.data), recorded.data) as Content["data"];
  return { on: dayOf(new Date(recorded.time)), ...(data ? { data } : {}) };
}

/** What is begun from an address: nothing, or what follows, corrects or takes back what is open. */
function begun(form: ReportForm, params: Params, before: Content): Content {
  const { subject = "", report = "" } = params;
  if (!subject) return {};
  const content = contentOf(form, subject);
  if (form.type.endsWith(".report-retracted.v1")) return { ...content, data: { report_id: report, reason: t("tables.reason.usual") } };
  // What has the same name means the same thing: the persons of a demand, those of its match.
  const fields = Object.keys((form.form as { properties: { data: { properties: object } } }).properties.data.properties);
  const same = Object.fromEntries(Object.entries(before.data ?? {}).filter(([name]) => fields.includes(name)));
  const data = merged(same, content.data ?? {});
  if (params["corrects"]) return { ...(form.dated || !before.on ? {} : { on: before.on }), ...content, data };
  return form.dated ? { ...content, data: { ...data, [form.dated]: today() } } : { ...content, on: today(), data };
}

/** The next form of the same type, with nothing in it. */
function blank({ form, heading }: Open): Open {
  return { form, heading: { ...heading, id: newId(), corrects: null }, content: {} };
}

export function FormsPage({ view }: { view: View }): JSX.Element {
  const names = useQuery(FORM_NAMES, true);
  return (
    <>
      <header class="head">
        <h2>{t("forms.title")}</h2>
        <p class="hint">{t("forms.hint")}</p>
      </header>
      <Loaded query={names}>{({ forms }) => <Desk view={view} forms={forms} />}</Loaded>
    </>
  );
}

function Desk({ view, forms }: { view: View; forms: FormName[] }): JSX.Element {
  const { plan, address } = view;
  const { params } = address;
  const type = params["type"] ?? "";
  const [all, setAll] = useState<Draft[]>(drafts);
  const [open, setOpen] = useState<Open | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [sent, setSent] = useState<Sent[]>([]);
  const [pressed, setPressed] = useState(""); // the report that a person has wanted to send
  const [waiting, setWaiting] = useState(false);
  const failed = (error: unknown): void => setProblem(error instanceof Problem ? error : new Problem(0));

  const send = async ({ form, heading, content }: Open): Promise<void> => {
    const report = reportOf(form, content, heading, today());
    keepDraft(form, { ...heading, type: form.type, content, queued: true });
    setAll(drafts());
    try {
      const receipt = await deliver(report, setWaiting);
      if (["accepted", "waiting"].includes(receipt.status)) {
        rememberOrganisations(impersonal(form, content).data);
        keepSent(form, report.source, receipt.id ?? report.id, content);
      }
      setSent((before) => [{ heading, form, subject: report.subject, receipt }, ...before]);
    } catch (error) {
      failed(error);
    }
    setAll(drafts());
  };

  useEffect(() => {
    const renew = (): void => setAll(drafts());
    window.addEventListener("storage", renew);
    void settledDrafts().then(async (settled) => {
      renew();
      for (const draft of drafts().filter(({ queued, lacking, id }) => queued && !lacking && !pending(id) && !settled.has(id))) {
        void send({ form: await formOf(draft.type), heading: draft, content: draft.content });
      }
    }, () => undefined);
    return () => window.removeEventListener("storage", renew);
  }, []);

  // A form is begun by its address, so that whatever is open anywhere links to what may follow it.
  const begin = `${type} ${params["subject"] ?? ""} ${params["report"] ?? ""} ${params["draft"] ?? ""}`;
  useEffect(() => {
    setProblem(null);
    setOpen(null);
    if (!forms.some((form) => form.type === type)) return undefined;
    let current = true;
    const draft = drafts().find(({ id }) => id === params["draft"]);
    void Promise.all([formOf(type), currentSession().catch(() => null), draft ? {} : saidBefore(params)]).then(([form, session, before]) => {
      if (!current) return;
      const [, , district, system] = (params["source"] ?? session?.sources[0] ?? "").split("/");
      const usual = params["district"] || plan.districts.find(({ city }) => !city)?.code || "";
      const heading = draft ?? { id: newId(), district: district || usual, system: system || "form", corrects: params["corrects"] || null };
      setOpen({ form, heading, content: draft?.content ?? begun(form, params, before) });
    }, failed);
    return () => { current = false; };
  }, [begin]);

  const change = (next: Open, byPerson = true): void => {
    setOpen(next);
    if (!byPerson) return;
    keepDraft(next.form, { ...next.heading, type: next.form.type, content: next.content, queued: false });
    setAll(drafts());
  };
  const close = (): void => { location.hash = withParams(address, { type: "", subject: "", source: "", report: "", corrects: "", draft: "" }); };
  const others = all.filter(({ id }) => id !== open?.heading.id);
  const busy = open !== null && pending(open.heading.id);
  return (
    <div class="stack">
      <section class="card">
        <div class="fields">
          <label>
            <span>{t("tables.type")}</span>
            <select name="type" value={type} onChange={({ currentTarget }) => { location.hash = withParams(address, { type: currentTarget.value, subject: "", source: "", report: "", corrects: "", draft: "" }); }}>
              <option value="">{t("tables.nothing")}</option>
              {[...new Set(forms.map(({ service }) => service))].map((service) => (
                <optgroup key={service} label={serviceName(service)}>
                  {forms.filter((form) => form.service === service).map((form) => (
                    <option key={form.type} value={form.type}>
                      {localized(form.name)}
                    </option>
                  ))}
                </optgroup>
              ))}
            </select>
          </label>
          {open && (
            <>
              <label>
                <span>{t("asked.district")}</span>
                <select disabled={busy} value={open.heading.district} onChange={({ currentTarget }) => change({ ...open, heading: { ...open.heading, district: currentTarget.value } })}>
                  {plan.districts.map(({ code, name }) => (
                    <option key={code} value={code}>
                      {localized(name)}
                    </option>
                  ))}
                </select>
              </label>
              <label>
                <span>{t("tables.system")}</span>
                <input
                  disabled={busy}
                  value={open.heading.system}
                  pattern="[A-Za-z0-9._\-]{1,40}"
                  onChange={({ currentTarget }) => currentTarget.validity.valid && change({ ...open, heading: { ...open.heading, system: currentTarget.value || "form" } })}
                />
              </label>
            </>
          )}
        </div>
      </section>
      {problem && <Sentence problem={problem} />}
      {open && (
        <section class="card form" data-form={open.form.type} data-draft={open.heading.id}>
          <h2>{localized(open.form.name)}</h2>
          {open.heading.corrects && <p class="hint">{t("forms.corrects", { id: open.heading.corrects })}</p>}
          <SchemaForm
            form={open.form}
            content={open.content}
            report={reportOf(open.form, open.content, open.heading, today())}
            everything={pressed === open.heading.id}
            busy={busy}
            onContent={(content, byPerson) => change({ ...open, content: withNames(content) }, byPerson)}
            onSend={() => {
              setPressed(open.heading.id);
              setProblem(null);
              void send(open).then(() => {
                if (!drafts().some(({ id }) => id === open.heading.id)) setOpen((now) => (now?.heading.id === open.heading.id ? blank(now) : now));
              });
            }}
          >
            <p class="acts">
              <button type="submit" class="main" disabled={busy}>
                {t("forms.send")}
              </button>
              <button
                type="button"
                onClick={() => {
                  dropDraft(open.heading.id);
                  setAll(drafts());
                  close();
                }}
              >
                {t("forms.discard")}
              </button>
              <button
                type="button"
                data-act="another"
                onClick={() => setOpen(blank(open))}
              >
                {t("forms.another")}
              </button>
              <small>{t("forms.kept")}</small>
            </p>
          </SchemaForm>
          {busy && <p role="status">{waiting ? t("forms.waiting") : t("tables.busy")}</p>}
        </section>
      )}
      {sent.length > 0 && <SentReports view={view} sent={sent} />}
      {others.length > 0 && (
        <section class="card drafts">
          <h2>{t("forms.drafts")}</h2>
          <p class="hint">{t("forms.drafts.hint")}</p>
          <ul class="reports">
            {others.map((draft) => (
              <li key={draft.id} data-waiting={draft.queued}>
                <div class="what">
                  <b>{localized(forms.find((form) => form.type === draft.type)?.name)}</b>
                  <span>{pending(draft.id) ? t("forms.waiting") : draft.lacking ? t("forms.lacking") : t("forms.unsent")}</span>
                  {!pending(draft.id) && <a href={withParams(address, { type: draft.type, draft: draft.id, subject: "", source: "", report: "", corrects: "" })}>{t("forms.go_on")}</a>}
                  <button type="button" onClick={() => { dropDraft(draft.id); setAll(drafts()); }}>
                    {t("forms.discard")}
                  </button>
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

function SentReports({ view, sent }: { view: View; sent: Sent[] }): JSX.Element {
  return (
    <section class="card sent">
      <h2>{t("forms.sent")}</h2>
      <ul class="reports">
        {sent.map(({ heading, form, subject, receipt }) => (
          <li key={heading.id} data-status={receipt.status} data-id={heading.id}>
            <div class="what">
              <span class={`status ${STATUS_COLOURS[receipt.status] ?? "none"}`}>{statusName(receipt.status)}</span>
              <span>{localized(form.name)}</span>
              <code>{subject}</code>
              <small>{heading.id}</small>
            </div>
            {["accepted", "waiting"].includes(receipt.status) && (
              <GoesOn address={view.address} type={form.type} subject={subject} source={`/districts/${heading.district}/${heading.system}`} id={receipt.id ?? heading.id} />
            )}
            {(receipt.reasons ?? []).map((reason, at) => (
              <p key={at} class="why">
                <code>{reason.code}</code> {localized(reason)}
              </p>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}
