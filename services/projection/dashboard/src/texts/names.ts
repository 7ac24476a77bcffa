// What codes of the API are called: statuses, causes, services and types of reports; an unknown code stands for itself.
import { cachedAnswer } from "../api/queries";
import { pathOf } from "../api/routes";
import { type Key, localized, t } from "./language";

const STATUSES: Record<string, Key> = {
  accepted: "status.accepted",
  waiting: "status.waiting",
  refused: "status.refused",
  invalid: "status.invalid",
  misdirected: "status.misdirected",
};
const CAUSES: Record<string, Key> = {
  original: "cause.original",
  correction: "cause.correction",
  retraction: "cause.retraction",
  supersede: "cause.supersede",
  end: "cause.end",
};
const FLAGS: Record<string, Key> = {
  "needs-review": "flag.needs-review",
  "same-content": "flag.same-content",
  voided: "flag.voided",
};
const SERVICES: Record<string, Key> = {
  enrollment: "service.enrollment",
  competition: "service.competition",
  recruitment: "service.recruitment",
  subsidy: "service.subsidy",
  planning: "service.planning",
};

/** The names of the types of reports; facts, receipts and closings need them. */
export const TYPE_NAMES = pathOf("/v1/types", {});

function nameIn(names: Record<string, Key>, code: string): string {
  const key = names[code];
  return key ? t(key) : code;
}

export function statusName(status: string): string {
  return nameIn(STATUSES, status);
}

/** Why a row of the ledger is there. */
export function causeName(cause: string): string {
  return nameIn(CAUSES, cause);
}

/** What a flag on a receipt says. */
export function flagName(flag: string): string {
  return nameIn(FLAGS, flag);
}

export function serviceName(service: string): string {
  return nameIn(SERVICES, service);
}

/** What a type of report is called once the names have been loaded; until then its own short name. */
export function typeName(type: string | null | undefined): string {
  const short = (type ?? "").replace(/^skillplan\./, "").replace(/\.v\d+$/, "");
  return localized(cachedAnswer(TYPE_NAMES)?.types[type ?? ""]) || short;
}

/** A period is a year, or the whole plan. */
export function periodName(period: string | undefined): string {
  return period && period !== "plan" ? t("asked.year", { year: period }) : t("asked.whole_plan");
}
