// Decides how it is shown whether the numbers are complete: how far each log is counted, and what is not well.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Progress } from "./answers";
import { useAnswer } from "./api";
import { instant, number } from "./format";
import { type Key, t } from "./language";
import type { View } from "./main";
import { Shown } from "./parts";

const SERVICES: Record<string, Key> = {
  enrollment: "service.enrollment",
  competition: "service.competition",
  recruitment: "service.recruitment",
  subsidy: "service.subsidy",
  planning: "service.planning",
};
const EVERY_MS = 5000;

interface Ready {
  status: string;
  problems: Record<string, string>;
}

export function serviceName(service: string): string {
  return SERVICES[service] ? t(SERVICES[service]!) : service;
}

export function HealthPage({ view }: { view: View }): JSX.Element {
  const { plan } = view;
  const progress = useAnswer<Progress>(`./v1/plans/${plan.id}/progress`);
  return (
    <>
      <header class="head">
        <h2>{t("nav.health")}</h2>
        <p class="hint">{t("health.hint")}</p>
      </header>
      <div class="stack">
        <section class="card">
          <h2>{t("health.projection")}</h2>
          <ReadyOf />
        </section>
        <section class="card">
          <h2>{t("health.logs")}</h2>
          <Shown of={progress}>{(data) => <Logs progress={data} />}</Shown>
        </section>
      </div>
    </>
  );
}

/** What the process says of itself; asked anew now and then, since being unwell moves no number. */
function ReadyOf(): JSX.Element {
  const [ready, setReady] = useState<Ready | null>(null);
  const [away, setAway] = useState(false);
  useEffect(() => {
    const look = async (): Promise<void> => {
      try {
        setReady((await (await fetch("./readyz")).json()) as Ready);
        setAway(false);
      } catch {
        setAway(true);
      }
    };
    void look();
    const timer = setInterval(() => void look(), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  if (away) return <p class="status red">{t("state.offline")}</p>;
  if (!ready) return <p>{t("state.loading")}</p>;
  const problems = Object.entries(ready.problems);
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

function Logs({ progress }: { progress: Progress }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("health.logs")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("health.service")}</th>
            <th scope="col" class="n">{t("health.counted")}</th>
            <th scope="col">{t("health.last")}</th>
            <th scope="col">{t("health.behind")}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(progress.complete_to).map(([service, log]) => (
            <tr key={service}>
              <th scope="row">{serviceName(service)}</th>
              <td class="n">{number(log.position)}</td>
              <td>{instant(log.recorded_at)}</td>
              <td>
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
