// Whether the numbers are complete: how far each log is counted, and what is not well.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useQuery } from "../api/queries";
import { pathOf } from "../api/routes";
import type { AssessedAnswer } from "../api/schema";
import { linkTo } from "../parts/address";
import { Loaded } from "../parts/states";
import type { View } from "../parts/view";
import { instant, number } from "../texts/format";
import { t } from "../texts/language";
import { serviceName } from "../texts/names";

const POLL_MS = 5000;

interface Readiness {
  status: string;
  problems: Record<string, string>;
}

export function HealthPage({ view }: { view: View }): JSX.Element {
  const { plan } = view;
  const logs = useQuery(pathOf("/v1/plans/{plan}/logs", { plan: plan.id }));
  return (
    <>
      <header class="head">
        <h2>{t("nav.health")}</h2>
        <p class="hint">{t("health.hint")}</p>
      </header>
      <div class="stack">
        <section class="card">
          <h2>{t("health.projection")}</h2>
          <ReadinessList />
        </section>
        <section class="card">
          <h2>{t("health.logs")}</h2>
          <Loaded query={logs}>{(data) => <Logs answer={data} />}</Loaded>
        </section>
        <p>
          <a href={linkTo(view.address, "difference")}>{t("difference.title")} →</a>
        </p>
      </div>
    </>
  );
}

/** The readiness of the process; polled, since becoming unready moves no number. */
function ReadinessList(): JSX.Element {
  const [readiness, setReadiness] = useState<Readiness | null>(null);
  const [offline, setOffline] = useState(false);
  useEffect(() => {
    const poll = async (): Promise<void> => {
      try {
        setReadiness((await (await fetch("./readyz")).json()) as Readiness);
        setOffline(false);
      } catch {
        setOffline(true);
      }
    };
    void poll();
    const timer = setInterval(() => void poll(), POLL_MS);
    return () => clearInterval(timer);
  }, []);
  if (offline) return <p class="status red">{t("state.offline")}</p>;
  if (!readiness) return <p>{t("state.loading")}</p>;
  const problems = Object.entries(readiness.problems);
  if (!problems.length) return <p class="status green">{t("health.ready")}</p>;
  return (
    <ul>
      {problems.map(([part, problem]) => (
        <li key={part}>
          <span class="status red">{part}</span> {problem}
        </li>
      ))}
    </ul>
  );
}

function Logs({ answer }: { answer: AssessedAnswer }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("health.logs")}>
      <table class="cards-on-phone">
        <thead>
          <tr>
            <th scope="col">{t("health.service")}</th>
            <th scope="col" class="n">{t("health.counted")}</th>
            <th scope="col">{t("health.last")}</th>
            <th scope="col">{t("health.behind")}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(answer.complete_to).map(([service, log]) => (
            <tr key={service}>
              <th scope="row">{serviceName(service)}</th>
              <td class="n" data-name={t("health.counted")}>{number(log.position)}</td>
              <td data-name={t("health.last")}>{instant(log.recorded_at)}</td>
              <td data-name={t("health.behind")}>
                {log.behind_events === null ? (
                  <span class="status red">{t("health.no_answer")}</span>
                ) : log.behind_events === 0 ? (
                  <span class="status green">{t("health.complete")}</span>
                ) : (
                  <span class="status amber">
                    {t("health.behind_by", { count: number(log.behind_events), seconds: number(log.behind_seconds) })}
                  </span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
