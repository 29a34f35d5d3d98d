/** `haproxy-mcp certs`: its commands and flags; Certs.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

type Tools<R> = Pick<Handlers<R>, "alone">

const json = (what: string) =>
  Flag.Boolean("json").pipe(Flag.withDescription(`Print JSON instead of ${what}`), Flag.withDefault(false))

const force = (description: string) =>
  Flag.Boolean("force").pipe(Flag.withDescription(description), Flag.withDefault(false))

const timeout = Flag.Int("timeout").pipe(
  Flag.withMetavar("SECONDS"),
  Flag.withDescription("How long to wait for the end of it (default: 900)"),
  Flag.withDefault(900)
)

const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withDescription("Only say what would be done"),
  Flag.withDefault(false)
)

const named = Argument.String("NAME").pipe(
  Argument.withDescription("Name of the certificate (NAME.pem), or a host that it stands for")
)

const settings = settingFlags("stdio")

const work = Effect.promise(() => import("./Certs.ts"))

const bounded = (options: { readonly dryRun: boolean; readonly json: boolean; readonly timeout: number }) => ({
  dryRun: options.dryRun,
  json: options.json,
  timeout: Math.min(86_400, Math.max(1, options.timeout))
})

const listCommand = <R>(handlers: Tools<R>) =>
  Command.make("list", {
    search: Flag.String("search").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("Only those with this text in a name"),
      Flag.optional
    ),
    json: json("a table"),
    settings
  }, ({ json, search, settings }) =>
    Effect.flatMap(work, ({ printCerts }) =>
      printCerts(handlers, sourcesOf(settings), { search: Option.getOrNull(search), json }))).pipe(
      Command.withDescription(
        "Lists the certificates of HAPROXY_CERT_DIR, issued here or put there by hand: names, status, days left, whether "
          + "HAProxy serves each, when it is renewed, why it failed."
      ),
      Command.withShortDescription("List certificates, with the days left"),
      Command.withExamples([
        { command: "haproxy-mcp certs list", description: "All of them" },
        {
          command: "haproxy-mcp certs list --json | jq -r '.[] | select(.days_left < 14) | .certificate'",
          description: "What ends within two weeks"
        }
      ])
    )

const infoCommand = <R>(handlers: Tools<R>) =>
  Command.make(
    "info",
    { name: named, json: json("text"), settings },
    ({ json, name, settings }) =>
      Effect.flatMap(work, ({ printCert }) => printCert(handlers, sourcesOf(settings), name, { json }))
  ).pipe(
    Command.withDescription(
      "Says all about one certificate, and which routed domains need it. Its key is never shown."
    ),
    Command.withShortDescription("Say all about one certificate"),
    Command.withExamples([{ command: "haproxy-mcp certs info shop.example.com", description: "By a host" }])
  )

const issueCommand = <R>(handlers: Tools<R>) =>
  Command.make("issue", {
    domain: Argument.String("DOMAIN").pipe(Argument.withDescription("Exact host name such as example.com")),
    wildcard: Flag.Boolean("wildcard").pipe(
      Flag.withDescription("Also *.DOMAIN (the default); --no-wildcard: for DOMAIN alone"),
      Flag.withDefault(true)
    ),
    timeout,
    dryRun,
    json: json("text"),
    settings
  }, ({ domain, settings, wildcard, ...options }) =>
    Effect.flatMap(work, ({ changeCert }) =>
      changeCert(handlers, sourcesOf(settings), "haproxy_issue_cert", { domain, wildcard }, bounded(options)))).pipe(
      Command.withDescription(
        "Gets a certificate from the CA that is set (acme.sh, DNS), installs it and serves it at once, without a reload. "
          + "One that is there and not due changes nothing."
      ),
      Command.withShortDescription("Issue a certificate and serve it"),
      Command.withExamples([
        { command: "haproxy-mcp certs issue example.com", description: "example.com and *.example.com" },
        { command: "haproxy-mcp certs issue --no-wildcard www.example.com", description: "One name alone" }
      ])
    )

const renewCommand = <R>(handlers: Tools<R>) =>
  Command.make(
    "renew",
    { name: named, force: force("Also when it is not due"), timeout, dryRun, json: json("text"), settings },
    (
      { force, name, settings, ...options }
    ) =>
      Effect.flatMap(work, ({ changeCert }) =>
        changeCert(handlers, sourcesOf(settings), "haproxy_renew_cert", { domain: name, force }, bounded(options)))
  ).pipe(
    Command.withDescription(
      "Renews a certificate that was issued here when it is due. What is due is renewed by itself while `serve` runs. The "
        + "old one serves until the new one is proved."
    ),
    Command.withShortDescription("Renew one certificate"),
    Command.withExamples([
      { command: "haproxy-mcp certs renew example.com", description: "If it is due" },
      { command: "haproxy-mcp certs renew --force example.com", description: "Now; CAs limit how often" }
    ])
  )

const renewAllCommand = <R>(handlers: Tools<R>) =>
  Command.make(
    "renew-all",
    { timeout, dryRun, json: json("text"), settings },
    ({ settings, ...options }) =>
      Effect.flatMap(work, ({ renewAll }) => renewAll(handlers, sourcesOf(settings), bounded(options)))
  ).pipe(
    Command.withDescription(
      "Renews every certificate that was issued here and is due. Exit code 1 when one failed; the old ones serve on."
    ),
    Command.withShortDescription("Renew all certificates that are due"),
    Command.withExamples([
      { command: "haproxy-mcp certs renew-all", description: "After the CA or the DNS token was mended" }
    ])
  )

const deleteCommand = <R>(handlers: Tools<R>) =>
  Command.make("delete", {
    name: Argument.String("NAME").pipe(Argument.withDescription("Name of the certificate (NAME.pem)")),
    force: force("Also while a routed domain needs it"),
    dryRun,
    json: json("text"),
    settings
  }, ({ name, settings, ...options }) =>
    Effect.flatMap(work, ({ deleteCert }) =>
      deleteCert(handlers, sourcesOf(settings), name, options))).pipe(
      Command.withDescription(
        "Takes a certificate from HAProxy and deletes its file with its key, for good. Refused while a routed domain needs "
          + "it: that site would have no HTTPS."
      ),
      Command.withShortDescription("Delete a certificate and its key"),
      Command.withExamples([{ command: "haproxy-mcp certs delete old.example.com", description: "For good" }])
    )

const loadCommand = <R>(handlers: Tools<R>) =>
  Command.make("load", {
    name: Argument.String("NAME").pipe(Argument.withDescription("NAME of NAME.pem in HAPROXY_CERT_DIR; no path")),
    timeout,
    dryRun,
    json: json("text"),
    settings
  }, ({ name, settings, ...options }) =>
    Effect.flatMap(work, ({ changeCert }) =>
      changeCert(handlers, sourcesOf(settings), "haproxy_load_cert", { domain: name }, bounded(options)))).pipe(
      Command.withDescription(
        "Checks a file that someone put into HAPROXY_CERT_DIR (certificate, chain and key), loads it into HAProxy without a "
          + "reload and proves it by a TLS handshake."
      ),
      Command.withShortDescription("Load a certificate that somebody put there"),
      Command.withExamples([
        {
          command: "install -m 600 shop.pem /opt/haproxy/certs/ && haproxy-mcp certs load shop",
          description: "A certificate from elsewhere"
        }
      ])
    )

export const certsCommand = <R>(handlers: Tools<R>) =>
  Command.make("certs").pipe(
    Command.withDescription(
      "Certificates: list, look, issue, renew, delete, load. Works through a running `serve`, else alone."
    ),
    Command.withShortDescription("Certificates: issue, renew, look"),
    Command.withSubcommands([
      listCommand(handlers),
      infoCommand(handlers),
      issueCommand(handlers),
      renewCommand(handlers),
      renewAllCommand(handlers),
      deleteCommand(handlers),
      loadCommand(handlers)
    ])
  )
