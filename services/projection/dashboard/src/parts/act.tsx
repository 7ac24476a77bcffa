// An act of an office in the browser: fields, who acts, a button; what is wrong is said beside the field it is about.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/client";
import { type Speaker, speaker } from "../api/office";
import { refetchAll } from "../api/queries";
import type { Receipt } from "../api/tables";
import { localized, t } from "../texts/language";
import { newId } from "./drafts";
import { Sentence } from "./states";
import "./office.css";

const NAME_KEY = "skillplan-by";
const LONGEST = 200;

export interface FieldOf {
  name: string;
  label: string;
  long?: boolean;
  /** What else of the report is put right here. */
  also?: string;
  /** One of many of its kind, beside each other. */
  short?: boolean;
  optional?: boolean;
  value?: string;
  type?: "date" | "number";
  choices?: [value: string, label: string][];
}

/** What may be filled in at one stroke. */
export interface Proposal {
  label: string;
  values: Record<string, string>;
}

interface Props {
  fields: FieldOf[];
  button: string;
  /** Does it and returns the receipt; throws Problem. `id`: the same while nothing is changed and it was not decided. */
  act: (values: Record<string, string>, by: Speaker, id: string) => Promise<Receipt>;
  onDone?: () => void;
  proposals?: Proposal[];
  /** What the values would change, drawn anew as they are filled in. */
  preview?: (values: Record<string, string>) => ComponentChildren;
  children?: ComponentChildren;
}

type Faults = Record<string, string>;

const ACCEPTED = ["accepted", "waiting", "duplicate"];

/** The reasons of a receipt by the field they are about; what is about none stands under an empty name. */
function faultsOf({ reasons = [] }: Receipt, fields: FieldOf[]): Faults {
  const faults: Faults = {};
  for (const reason of reasons) {
    const name = reason.pointer?.split("/")[2] ?? "";
    const field = fields.find((each) => name && [each.name, each.also].includes(name))?.name ?? "";
    faults[field] = [faults[field], localized(reason)].filter(Boolean).join(" ");
  }
  return faults;
}

export function Act({ fields, button, act, onDone, proposals = [], preview, children }: Props): JSX.Element {
  const [by, setBy] = useState<Speaker | null>(null);
  const [values, setValues] = useState<Record<string, string>>(() => Object.fromEntries(fields.map(({ name, value = "" }) => [name, value])));
  const [faults, setFaults] = useState<Faults>({});
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const id = useRef(newId());
  useEffect(() => {
    void speaker().then((who) => {
      setBy(who);
      setValues((before) => ({ ...before, by: who.name || localStorage.getItem(NAME_KEY) || "" }));
    });
  }, []);
  const all: FieldOf[] = [...fields, { name: "by", label: t("act.by") }];
  const set = (name: string, value: string): void => {
    setDone(false);
    id.current = newId(); // what is changed is another report, whatever became of the one before
    setValues((before) => ({ ...before, [name]: value.replace(/\s*\n\s*/g, " ") })); // a text of the contract is one line
  };
  const submit = async (): Promise<void> => {
    if (!by || busy) return;
    const empty = all.filter(({ name, optional }) => !optional && !values[name]?.trim());
    const unread = all.filter(({ name, type }) => type === "number" && Number.isNaN(Number(values[name] ?? "")));
    setFaults(Object.fromEntries([...empty.map(({ name }) => [name, t("act.empty")]), ...unread.map(({ name }) => [name, t("act.number")])]));
    if (empty.length || unread.length) return;
    setBusy(true);
    try {
      const receipt = await act(values, by, id.current);
      id.current = newId();
      if (ACCEPTED.includes(receipt.status)) {
        if (!by.name) localStorage.setItem(NAME_KEY, values["by"] ?? "");
        setDone(true);
        refetchAll();
        onDone?.();
      } else setFaults(faultsOf(receipt, all));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0);
      // The projection by itself takes no reports: its own address is for reading.
      if (problem.status === 404 || problem.status === 405) setFaults({ "": t("act.elsewhere") });
      else setFaults({ "": problem.text ? localized(problem.text) : t(problem.status ? "act.failed" : "state.offline") });
    }
    setBusy(false);
  };
  return (
    <form
      class={`act${fields.some(({ short }) => short) ? " grid" : ""}`}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {children}
      {proposals.length > 0 && (
        <p class="acts">
          {proposals.map((proposal) => (
            <button key={proposal.label} type="button" data-proposal onClick={() => Object.entries(proposal.values).forEach(([name, value]) => set(name, value))}>
              {proposal.label}
            </button>
          ))}
        </p>
      )}
      {all.map((field) => (
        <Field key={field.name} field={field} value={values[field.name] ?? ""} fault={faults[field.name]} fixed={field.name === "by" && Boolean(by?.name)} onInput={(value) => set(field.name, value)} />
      ))}
      {preview?.(values)}
      {faults[""] && <Sentence problem={faults[""]} />}
      <p class="acts">
        <button type="submit" class="main" disabled={busy || !by}>
          {button}
        </button>
        {done && <span role="status">{t("act.done")}</span>}
      </p>
    </form>
  );
}

interface FieldProps {
  field: FieldOf;
  value: string;
  fault: string | undefined;
  fixed: boolean;
  onInput: (value: string) => void;
}

function Field({ field, value, fault, fixed, onInput }: FieldProps): JSX.Element {
  const told = `fault-${field.name}`;
  const shared = { name: field.name, value, "aria-invalid": Boolean(fault), ...(fault ? { "aria-describedby": told } : {}) };
  return (
    <div class={`field${fault ? " faulty" : ""}${field.short ? " short" : ""}`}>
      <label>
        <span>
          {field.label} {field.long && <small>{t("act.length", { count: [...value].length, most: LONGEST })}</small>}
        </span>
        {field.choices ? (
          <select {...shared} onChange={({ currentTarget }) => onInput(currentTarget.value)}>
            {field.choices.map(([choice, label]) => (
              <option key={choice} value={choice}>
                {label}
              </option>
            ))}
          </select>
        ) : field.long ? (
          <textarea rows={3} {...shared} onInput={({ currentTarget }) => onInput(currentTarget.value)} />
        ) : field.type === "date" ? (
          <input type="date" {...shared} onInput={({ currentTarget }) => onInput(currentTarget.value)} />
        ) : (
          <input readOnly={fixed} {...shared} onInput={({ currentTarget }) => onInput(currentTarget.value)} />
        )}
      </label>
      {fault && (
        <p class="fault" id={told} role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}
