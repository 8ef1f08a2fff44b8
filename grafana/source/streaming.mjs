import { INSTANCE, dashboard, section } from "./dashboard.mjs";
import { graph, stat } from "./panels.mjs";
import { grownBy, quantiles, rateBy, share, totalRate } from "./queries.mjs";

const OURS = 'instance=~"$instance"';
const MESSAGES = `sse_messages_sent_total{${OURS}, type="message"}`;

export const streaming = dashboard({
  name: "streaming",
  title: "kboard: streaming",
  description: "Viewers of the streams of Server-Sent Events, and what they are sent.",
  variables: [INSTANCE],
  sections: [
    section("Now", [
      stat({
        title: "Viewers",
        description: "Open streams.",
        unit: "short",
        query: `sum(sse_active_connections{${OURS}})`,
      }),
      stat({
        title: "Messages written",
        description: "To all viewers together, a second.",
        unit: "mps",
        query: totalRate(MESSAGES),
      }),
      stat({
        title: "Streams opened",
        description: "A second.",
        unit: "cps",
        query: totalRate(`sse_connections_total{${OURS}, status="opened"}`),
      }),
      stat({
        title: "Cut off",
        description: "Viewers that were too slow, in the time that is shown.",
        alerts: ["SSEClientsDropped"],
        unit: "short",
        limits: { orange: 1, red: 10 },
        instant: true,
        query: grownBy(`sse_connections_total{${OURS}, status="dropped"}`),
      }),
      stat({
        title: "Told to start over",
        description: "Viewers whose last message was out of the window, in the time that is shown.",
        unit: "short",
        limits: { orange: 100 },
        instant: true,
        query: grownBy(`sse_messages_sent_total{${OURS}, type="reset"}`),
      }),
    ]),
    section(
      "Viewers",
      [
        graph({
          title: "Viewers",
          description: "Open streams, by process.",
          unit: "short",
          stack: true,
          queries: { "{{instance}}": `sum by (instance) (sse_active_connections{${OURS}})` },
        }),
        graph({
          title: "Streams opened and ended",
          description: "A second: opened, closed (the viewer or the server left), dropped (the viewer was too slow).",
          alerts: ["SSEClientsDropped"],
          unit: "cps",
          queries: { "{{status}}": rateBy("status", `sse_connections_total{${OURS}}`) },
        }),
        graph({
          title: "Streams cut off",
          description: "A second, by reason.",
          alerts: ["SSEClientsDropped"],
          unit: "cps",
          queries: { "{{error_type}}": rateBy("error_type", `sse_errors_total{${OURS}}`) },
        }),
      ],
      [
        graph({
          title: "Share that is cut off",
          description: "Of all streams that end.",
          alerts: ["SSEClientsDropped"],
          unit: "percentunit",
          limits: { orange: 0.01, red: 0.1 },
          queries: {
            dropped: share(
              `sse_connections_total{${OURS}, status="dropped"}`,
              `sse_connections_total{${OURS}, status=~"closed|dropped"}`,
            ),
          },
        }),
        graph({
          title: "Time until a stream begins",
          description: "From the request until the first byte.",
          unit: "s",
          queries: quantiles("http_request_duration_seconds", `${OURS}, route=~".*/stream"`),
        }),
      ],
    ),
    section("Messages", [
      graph({
        title: "Events written",
        description: "To all viewers together, a second, by type.",
        unit: "eps",
        queries: { "{{type}}": rateBy("type", `sse_messages_sent_total{${OURS}}`) },
      }),
      graph({
        title: "Messages a viewer",
        description: "Messages that one viewer is sent, a second.",
        unit: "mps",
        queries: {
          "{{instance}}": `${rateBy("instance", MESSAGES)} / (sum by (instance) (sse_active_connections{${OURS}}) > 0)`,
        },
      }),
      graph({
        title: "Channels subscribed to",
        description: "Where the processes hear of new messages: two channels a window.",
        unit: "short",
        queries: { "{{instance}}": `sum by (instance) (redis_pubsub_active_subscriptions{${OURS}})` },
      }),
    ]),
  ],
});
