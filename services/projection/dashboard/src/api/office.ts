// What an office says to planning: reports under the key of this browser, by whom, and the receipts they get.
import { Problem } from "./client";
import { currentSession, report, type Receipt } from "./tables";

/** Who speaks: the name that a key was given, and the sources it speaks for; no name while no keys are set. */
export interface Speaker {
  name: string;
  sources: string[];
}

export interface Said {
  type: string;
  subject: string;
  district: string;
  data: Record<string, unknown>;
}

const SYSTEM = "office"; // of a source whose key covers every system of its district

export async function speaker(): Promise<Speaker> {
  const session = await currentSession().catch(() => null);
  return { name: session?.label ?? "", sources: session?.sources ?? [] };
}

/** The source under which somebody speaks for a district. */
function sourceOf(district: string, { sources }: Speaker): string {
  const [, , , system] = (sources.find((prefix) => prefix.split("/")[2] === district) ?? "").split("/");
  return `/districts/${district}/${system || SYSTEM}`;
}

/** Report once; the id is the act's own, so that the same act again is the same report. Throws Problem. */
export async function tell(id: string, said: Said, by: Speaker): Promise<Receipt> {
  const { type, subject, district, data } = said;
  const [receipt] = await report([
    { specversion: "1.0", id, source: sourceOf(district, by), type: `skillplan.planning.${type}.v1`, subject, time: new Date().toISOString(), district, data },
  ]);
  if (!receipt) throw new Problem(0);
  return receipt.first ?? receipt;
}
