// Every lead unit, the one with the worst signals first.
import type { JSX } from "preact";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { BodySignals } from "../api/schema";
import { linkTo, pick } from "../parts/address";
import { Mark, signalName, SIGNALS } from "../parts/signals";
import { Loaded } from "../parts/states";
import type { View } from "../parts/view";
import { number } from "../texts/format";
import { localized, t } from "../texts/language";

export function BodiesPage({ view }: { view: View }): JSX.Element {
  const { plan, address } = view;
  const bodies = useQuery(pathOf("/v1/plans/{plan}/measures", { plan: plan.id, ...pick(address.params, "as_of", "known_at", "district") }));
  const late = ({ signals }: BodySignals): number => signals.red * 1000 + signals.amber;
  return (
    <>
      <header class="head">
        <h2>{t("body.title")}</h2>
        <p class="hint">{t("body.hint")}</p>
      </header>
      <Loaded query={bodies} lines={12}>
        {(data) => (
          <div class="tiles">
            {data.bodies
              .toSorted((a, b) => late(b) - late(a))
              .map((body) => (
                <a key={body.id} class="card" href={linkTo(address, "body", body.id)}>
                  <h3>{localized(body.name)}</h3>
                  <p>{t("body.measures", { count: number(body.measures.length) })}</p>
                  <p class="signals">
                    {SIGNALS.filter((signal) => body.signals[signal]).map((signal) => (
                      <span key={signal}>
                        <Mark signal={signal} /> {signalName(signal)} {number(body.signals[signal])}
                      </span>
                    ))}
                  </p>
                </a>
              ))}
          </div>
        )}
      </Loaded>
    </>
  );
}
