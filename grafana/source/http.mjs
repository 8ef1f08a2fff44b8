import { INSTANCE, choice, dashboard, section } from "./dashboard.mjs";
import { bars, graph, heatmap, stat } from "./panels.mjs";
import { orNone, quantile, quantiles, rateBy, share, totalRate } from "./queries.mjs";
import * as watched from "./watched.mjs";

const OURS = 'instance=~"$instance", route=~"$route"';
/** /readyz answers 503 to say that something else is away, to whom asks for just that. */
const ANSWERS = `${OURS}, route!="/readyz"`;

export const http = dashboard({
  name: "http",
  title: "kboard: HTTP",
  description: "Requests by route: how many, how they are answered, and how soon.",
  variables: [INSTANCE, choice("route", "Route", 'http_requests_total{instance=~"$instance"}, route')],
  sections: [
    section("Now", [
      stat({
        title: "Requests",
        description: "Requests answered, a second.",
        unit: "reqps",
        query: totalRate(`http_requests_total{${OURS}}`),
      }),
      stat({
        title: "Requests that fail",
        description: "The share that is answered 5xx.",
        ...watched.HTTP_FAILURES,
        unit: "percentunit",
        query: share(`http_requests_total{${ANSWERS}, status_code=~"5.."}`, `http_requests_total{${ANSWERS}}`),
      }),
      stat({
        title: "Requests that are refused",
        description: "The share that is answered 4xx: what was asked for is wrong or isn't there.",
        unit: "percentunit",
        limits: { orange: 0.1, red: 0.5 },
        query: share(`http_requests_total{${ANSWERS}, status_code=~"4.."}`, `http_requests_total{${ANSWERS}}`),
      }),
      stat({
        title: "Response time",
        description: "95 of 100 responses begin sooner.",
        ...watched.HTTP_LATENCY,
        unit: "s",
        query: quantile(0.95, "http_request_duration_seconds", OURS),
      }),
      stat({
        title: "In progress",
        description: "Requests being answered.",
        unit: "short",
        query: `sum(http_requests_in_progress{${OURS}})`,
      }),
    ]),
    section(
      "Requests",
      [
        graph({
          title: "Requests by route",
          description: "Requests a second.",
          unit: "reqps",
          queries: { "{{method}} {{route}}": rateBy("method, route", `http_requests_total{${OURS}}`) },
        }),
        graph({
          title: "Requests by status",
          description: "Requests a second.",
          unit: "reqps",
          stack: true,
          queries: { "{{status_code}}": rateBy("status_code", `http_requests_total{${OURS}}`) },
        }),
        graph({
          title: "Requests by process",
          description: "Requests a second: how evenly they are spread.",
          unit: "reqps",
          stack: true,
          queries: { "{{instance}}": rateBy("instance", `http_requests_total{${OURS}}`) },
        }),
      ],
      [
        graph({
          title: "Failures",
          description: "Requests answered 5xx, a second.",
          alerts: ["HighHTTPErrorRate"],
          unit: "reqps",
          queries: {
            "{{method}} {{route}} {{status_code}}": orNone(
              "route",
              rateBy("method, route, status_code", `http_requests_total{${ANSWERS}, status_code=~"5.."}`),
            ),
          },
        }),
        graph({
          title: "Refusals",
          description: "Requests answered 4xx, a second.",
          unit: "reqps",
          queries: {
            "{{method}} {{route}} {{status_code}}": orNone(
              "route",
              rateBy("method, route, status_code", `http_requests_total{${ANSWERS}, status_code=~"4.."}`),
            ),
          },
        }),
        graph({
          title: "In progress",
          description: "Requests being answered; streams are not among them once they have begun.",
          unit: "short",
          queries: { "{{method}} {{route}}": `sum by (method, route) (http_requests_in_progress{${OURS}})` },
        }),
      ],
    ),
    section(
      "Response time",
      [
        graph({
          title: "Time to the response",
          description: "Until a response began.",
          ...watched.HTTP_LATENCY,
          unit: "s",
          queries: quantiles("http_request_duration_seconds", OURS),
        }),
        graph({
          title: "Time to the response by route",
          description: "95 of 100 responses begin sooner.",
          ...watched.HTTP_LATENCY,
          unit: "s",
          queries: {
            "{{method}} {{route}}": quantile(0.95, "http_request_duration_seconds", OURS, ["method", "route"]),
          },
        }),
      ],
      [
        bars({
          title: "Slowest routes",
          description: "95 of 100 responses begin sooner.",
          ...watched.HTTP_LATENCY,
          unit: "s",
          queries: {
            "{{method}} {{route}}": `topk(8, ${quantile(0.95, "http_request_duration_seconds", OURS, ["method", "route"])})`,
          },
        }),
        heatmap({
          title: "Times to the response",
          description: "How many responses a second began within which time.",
          unit: "s",
          histogram: `http_request_duration_seconds_bucket{${OURS}}`,
        }),
      ],
    ),
  ],
});
