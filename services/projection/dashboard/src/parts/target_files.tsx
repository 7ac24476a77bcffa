// Files of the plan office: targets taken out and put in as a workbook, a plan file adopted; what changes is seen first.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { Problem, save } from "../api/client";
import { comparePlan, compareTable, type PlanFileDifferences, type Said, tell, tellAll, type TargetTable, workbookPath } from "../api/office";
import type { Receipt } from "../api/tables";
import { DASH, today } from "../texts/format";
import { bilingual, type Key, localized, t } from "../texts/language";
import { periodName } from "../texts/names";
import { Act, type FieldOf } from "./act";
import { Sentence } from "./states";
import { cityCode, districtNames, type View } from "./view";

type Found = { table: TargetTable; file: File } | { plan: PlanFileDifferences } | { problem: string[] };

const WHATS: Record<string, Key> = {
  indicator: "plan.indicator",
  target: "plan.target",
  weights: "plan.weights",
  name: "plan.name",
  "what-counts": "plan.counts",
};

function fieldsOf(from: boolean): FieldOf[] {
  const day: FieldOf[] = from ? [{ name: "effective_from", label: t("targets.from"), type: "date", value: today() }] : [];
  return [...day, { name: "why", label: t("months.why"), long: true, optional: true }];
}

/** The sentences of a problem, each fault of a file with its line. */
function sentencesOf(error: unknown): string[] {
  const problem = error instanceof Problem ? error : new Problem(0);
  const text = problem.text ? localized(problem.text) : t(problem.status ? "act.failed" : "state.offline");
  return [text, ...problem.faults.map((fault) => t("targets.file.line", { line: fault.line ?? DASH, path: fault.path, text: localized(fault) }))];
}

export function TargetFiles({ view, may }: { view: View; may: string[] }): JSX.Element {
  const { plan, asOf } = view;
  const [found, setFound] = useState<Found | null>(null);
  const [from, setFrom] = useState(today);
  const tableInput = useRef<HTMLInputElement>(null);
  const compared = async (file: File, day: string): Promise<void> => {
    try {
      setFound({ table: await compareTable(plan.id, file, day), file });
    } catch (error) {
      setFound({ problem: sentencesOf(error) });
    }
  };
  const adopted = async (file: File): Promise<void> => {
    try {
      setFound({ plan: await comparePlan(plan.id, file) });
    } catch (error) {
      setFound({ problem: sentencesOf(error) });
    }
  };
  return (
    <section class="card desk files">
      <h2>{t("targets.files")}</h2>
      <p class="acts">
        <button type="button" onClick={() => void save(workbookPath(plan.id, asOf))}>
          {t("targets.export")}
        </button>
        {may.includes("revise") && <FileButton name="table" accept=".xlsx" text={t("targets.import")} onFile={(file) => void compared(file, from)} input={tableInput} />}
        {may.includes("adopt") && <FileButton name="plan" accept=".yaml,.yml" text={t("targets.adopt")} onFile={(file) => void adopted(file)} />}
      </p>
      {found && "problem" in found && found.problem.map((sentence) => <Sentence key={sentence} problem={sentence} />)}
      {found && "table" in found && (
        <>
          <label class="choice">
            <span>{t("targets.from")}</span>
            <input type="date" name="from" value={from} onChange={({ currentTarget }) => { setFrom(currentTarget.value); void compared(found.file, currentTarget.value); }} />
          </label>
          <TableImport view={view} table={found.table} again={() => void compared(found.file, from)} />
        </>
      )}
      {found && "plan" in found && <Adoption view={view} changes={found.plan} onDone={() => setFound(null)} />}
    </section>
  );
}

function FileButton({ name, accept, text, onFile, input }: { name: string; accept: string; text: string; onFile: (file: File) => void; input?: { current: HTMLInputElement | null } }): JSX.Element {
  const own = useRef<HTMLInputElement>(null);
  const holder = input ?? own;
  return (
    <>
      <button type="button" onClick={() => holder.current?.click()}>
        {text}
      </button>
      <input
        ref={holder}
        class="unseen"
        type="file"
        name={name}
        accept={accept}
        aria-label={text}
        tabIndex={-1}
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? [];
          if (file) onFile(file);
          currentTarget.value = ""; // the same file, mended, may be chosen again
        }}
      />
    </>
  );
}

/** What an edited workbook changes, and what is wrong in it; sent as one act, each line decided for itself. */
function TableImport({ view, table, again }: { view: View; table: TargetTable; again: () => void }): JSX.Element {
  const { plan } = view;
  const names = districtNames(plan.districts);
  const act = async (values: Record<string, string>, by: Parameters<typeof tell>[2], id: string): Promise<Receipt> => {
    const own = { by: values["by"] ?? "", ...(values["why"]?.trim() ? { why: values["why"] } : {}) };
    const said = table.reports.map(({ type, subject, data }): Said => ({ type, subject, district: cityCode(plan), data: { ...data, ...own } }));
    const receipts = await tellAll(id, said, by);
    const refused = receipts.flatMap((receipt, at) => (receipt.reasons ?? []).map((reason) => ({ ...reason, row: table.reports[at]?.row })));
    if (!refused.length) return receipts[0]!;
    again();
    return { ...receipts[0]!, status: "refused", reasons: refused.map(({ row, ...reason }) => ({ ...reason, ...bilingual("targets.file.row", (half) => ({ row: row ?? DASH, text: reason[half] })) })) };
  };
  return (
    <>
      {table.faults.map((fault) => (
        <Sentence key={`${fault.row} ${fault.column} ${fault.en}`} problem={t("targets.file.row", { row: fault.row, text: localized(fault) })} />
      ))}
      {table.changes.length ? (
        <Changes heads={[t("value.indicator"), t("targets.period"), t("asked.district")]} rows={table.changes.map((change) => ({ cells: [`${change.indicator} ${localized(change.name)}`, periodName(change.period), change.district ? (names[change.district] ?? change.district) : t("asked.whole")], before: change.before, after: change.after }))} />
      ) : (
        !table.faults.length && <p class="hint">{t("targets.file.same")}</p>
      )}
      {table.reports.length > 0 && <Act key={table.reports.length} fields={fieldsOf(false)} button={t("targets.import.send", { count: table.changes.length })} act={act} onDone={again} />}
    </>
  );
}

function Adoption({ view, changes, onDone }: { view: View; changes: PlanFileDifferences; onDone: () => void }): JSX.Element {
  const { plan } = view;
  const names = districtNames(plan.districts);
  const { document, sha256, against } = changes;
  const act = ({ by, why, effective_from: from }: Record<string, string>, who: Parameters<typeof tell>[2], id: string): Promise<Receipt> => {
    const data = { plan: plan.id, document, sha256, ...(against ? { against } : {}), effective_from: from, by, ...(why?.trim() ? { why } : {}) };
    return tell(id, { type: "plan-adopted", subject: `plan/${plan.id}`, district: cityCode(plan), data }, who);
  };
  const what = (name: string, district: string | null): string => [name in WHATS ? t(WHATS[name]!) : name, district && names[district]].filter(Boolean).join(" ");
  return (
    <>
      <p class="hint">{t(against ? "targets.adopt.against" : "targets.adopt.first")}</p>
      {changes.changes.length ? (
        <Changes heads={[t("value.indicator"), t("targets.file.what")]} rows={changes.changes.map((change) => ({ cells: [change.indicator, what(change.what, change.district)], before: change.before, after: change.after ?? DASH }))} />
      ) : (
        <p class="hint">{t("targets.file.same")}</p>
      )}
      {(changes.changes.length > 0 || !against) && <Act fields={fieldsOf(true)} button={t("targets.adopt.send")} act={act} onDone={onDone} />}
    </>
  );
}

interface Change {
  cells: string[];
  before: string | null;
  after: string;
}

function Changes({ heads, rows }: { heads: string[]; rows: Change[] }): JSX.Element {
  const titles = [...heads, t("targets.file.before"), t("targets.file.after")];
  return (
    <div class="scroll">
      <table class="cards-on-phone changes">
        <thead>
          <tr>
            {titles.map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ cells: [first, ...others], before, after }, row) => (
            <tr key={row}>
              <th scope="row">{first}</th>
              {[...others, before ?? DASH, after].map((cell, at) => (
                <td key={at} data-name={titles[at + 1]}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
