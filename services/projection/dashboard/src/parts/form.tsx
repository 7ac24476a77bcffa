// A form drawn from a type's JSON Schema; what is wrong is what the services say of it, as it is filled in.
import Form from "@rjsf/core/lib/components/Form.js"; // the index takes in a registry for tests, with another validator
import { type ErrorSchema, type IconButtonProps, TranslatableString, type ValidatorType, type WidgetProps } from "@rjsf/utils";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Content, ReportForm } from "../api/forms";
import { judged, type Receipt, type Report } from "../api/tables";
import { type Key, language, localized, t } from "../texts/language";
import { STATUS_COLOURS } from "./reports";

const PAUSE_MS = 500;
const FEN = 100;
/** What is wrong with what is empty is said once a person wants to send. */
const EMPTY = ["missing-field", "missing-attribute"];

// The services judge: no rule of theirs is repeated here, and what is true of a form is not guessed from its schema.
const VALIDATOR: ValidatorType<Content> = {
  isValid: () => true,
  rawValidation: () => ({ errors: [] }),
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  reset: () => undefined,
};
const TEXTS: Partial<Record<TranslatableString, Key>> = {
  [TranslatableString.YesLabel]: "forms.yes",
  [TranslatableString.NoLabel]: "forms.no",
  [TranslatableString.EmptyArray]: "forms.item.none",
};

/** A button of a list; the library's own are pictures of a font that is not here. */
function button(text: Key): (props: IconButtonProps<Content>) => JSX.Element {
  return ({ id, onClick, disabled }) => (
    <button type="button" id={id ?? ""} disabled={disabled ?? false} onClick={onClick as unknown as () => void}>
      {t(text)}
    </button>
  );
}

const TEMPLATES = {
  ButtonTemplates: {
    AddButton: button("forms.item.add"),
    RemoveButton: button("forms.item.remove"),
    MoveUpButton: button("forms.item.up"),
    MoveDownButton: button("forms.item.down"),
  },
};

/** An amount in yuan, as people write it; reported in fen. */
function Yuan({ id, value, required, onChange }: WidgetProps<Content>): JSX.Element {
  const [text, setText] = useState(typeof value === "number" ? String(value / FEN) : "");
  return (
    <input
      id={id}
      inputMode="decimal"
      required={required ?? false}
      value={text}
      onInput={({ currentTarget }) => {
        const plain = currentTarget.value.normalize("NFKC").replace(/[,\s]/g, "");
        setText(currentTarget.value);
        // What is no amount goes to the service as it is, which says so.
        onChange(/^\d+(\.\d{1,2})?$/.test(plain) ? Math.round(Number(plain) * FEN) : plain || undefined);
      }}
    />
  );
}

const WIDGETS = { yuan: Yuan };

/** Which faults stand at which field; those of no field are in the verdict. */
function errorsOf(receipt: Receipt | null, everything: boolean): ErrorSchema<Content> {
  const root: Record<string, unknown> = {};
  for (const reason of receipt?.reasons ?? []) {
    const steps = (reason.pointer ?? "").split("/").slice(1);
    if (steps[0] !== "data" || (!everything && EMPTY.includes(reason.code))) continue;
    let inner = root;
    for (const step of steps) inner = (inner[step] ??= {}) as Record<string, unknown>;
    inner["__errors"] = [...((inner["__errors"] as string[] | undefined) ?? []), localized(reason)];
  }
  return root as ErrorSchema<Content>;
}

interface Props {
  form: ReportForm;
  content: Content;
  report: Report;
  everything: boolean;
  busy: boolean;
  onContent: (content: Content, byPerson: boolean) => void;
  onSend: () => void;
  children: JSX.Element;
}

export function SchemaForm({ form, content, report, everything, busy, onContent, onSend, children }: Props): JSX.Element {
  const receipt = useJudgement(report);
  return (
    <Form<Content>
      // Another report, and another set of words, is taken up in a new form.
      key={`${report.id} ${language()}`}
      idPrefix="form"
      schema={form.form}
      uiSchema={form.texts[language()]}
      formData={content}
      validator={VALIDATOR}
      widgets={WIDGETS}
      templates={TEMPLATES}
      extraErrors={errorsOf(receipt, everything)}
      translateString={(text) => t(TEXTS[text] ?? "forms.unknown")}
      showErrorList={false}
      noValidate
      noHtml5Validate
      disabled={busy}
      // Without a field it is what the form begins with, which no person has filled in.
      onChange={({ formData }, id) => formData && onContent(formData, id !== undefined)}
      onSubmit={onSend}
    >
      <Verdict receipt={receipt} everything={everything} />
      {children}
    </Form>
  );
}

/** What the report would be answered, asked a moment after the last key; the last answer stays while there is no network. */
function useJudgement(report: Report): Receipt | null {
  const [receipt, setReceipt] = useState<Receipt | null>(null);
  const turn = useRef(0);
  const { time: _, ...judgedBy } = report;
  const content = JSON.stringify(judgedBy);
  useEffect(() => {
    const own = (turn.current += 1);
    const timer = setTimeout(() => {
      judged(report).then((answer) => own === turn.current && setReceipt(answer), () => undefined);
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [content]);
  return receipt;
}

function Verdict({ receipt, everything }: { receipt: Receipt | null; everything: boolean }): JSX.Element | null {
  if (!receipt) return null;
  const good = ["accepted", "waiting", "duplicate"].includes(receipt.status);
  const reasons = (receipt.reasons ?? []).filter(({ pointer = "" }) => !pointer.startsWith("/data/") && (everything || !pointer.startsWith("/subject")));
  const counts = [...new Map((receipt.counts_in ?? []).map((cell) => [`${cell.indicator} ${cell.period}`, cell])).values()];
  if (!good && !reasons.length) return null;
  return (
    <div class={`why verdict ${STATUS_COLOURS[receipt.status] ?? "none"}`} role="status" data-verdict={receipt.status}>
      {good && <p>{receipt.status === "duplicate" ? t("forms.verdict.duplicate") : receipt.waits_for ? t("forms.verdict.waits", { what: receipt.waits_for }) : t("forms.verdict.good")}</p>}
      {counts.length > 0 && <p>{t("forms.verdict.counts", { where: counts.map(({ indicator, name }) => `${indicator} ${localized(name)}`).join(t("list.comma")) })}</p>}
      {reasons.map((reason, at) => (
        <p key={at}>
          {localized(reason)} <code>{reason.code}</code>
        </p>
      ))}
    </div>
  );
}
