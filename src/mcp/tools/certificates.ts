/** Tools on certificates: list, look, issue, renew, delete, load. No parameter and no answer ever holds a key. */
import * as Schema from "effect/Schema"
import { certInfo, listCerts } from "../../program/certificates/CertificateList.ts"
import { deleteCert } from "../../program/certificates/Delete.ts"
import { issueCert } from "../../program/certificates/Issue.ts"
import { loadCert } from "../../program/certificates/Load.ts"
import { renewAllCerts, renewCert } from "../../program/certificates/Renew.ts"
import { reads, removes, sets, tool, type ToolAnnotations } from "../Tool.ts"
import * as Field from "./fields.ts"

/** Asks a CA; a repetition gets nothing new. */
const issues: ToolAnnotations = { ...sets, openWorldHint: true }

/** Numbers of answers; a schema that says of each that it is not negative is longer. */
const int = (description: string) => Schema.Int.annotate({ description })

const named = Field.text("Name of the certificate, or a host that it stands for.")

const certificate = Field.text("Its name: NAME of NAME.pem.")
const domains = Field.texts("Names it stands for.")
const notAfter = Field.textOrNull("When it ends, ISO 8601 in UTC.")
const daysLeft = Schema.NullOr(Schema.Int).annotate({ description: "Days until then." })
const issuer = Field.text("Who signed it; a stranger's words.")
const operationId = Schema.optionalKey(Field.text("It goes on: follow it with haproxy_operation."))
const neededBy = Field.texts("Routed domains without another certificate, at most 20.")

const item = {
  certificate,
  domains,
  status: Schema.Literals(["valid", "expiring", "expired", "not_yet_valid", "issuing", "missing", "broken"]).annotate({
    description: "missing: no file. broken: the file is no certificate with its key."
  }),
  not_after: notAfter,
  days_left: daysLeft,
  source: Schema.Literals(["acme", "file"]).annotate({ description: "acme: issued and renewed here." }),
  issuer,
  loaded: Schema.NullOr(Schema.Boolean).annotate({ description: "HAProxy serves it; null: not known." }),
  next_attempt: Field.textOrNull("When it is renewed or tried again; null: not here."),
  last_error: Field.textOrNull("Why the last attempt failed.")
}

const writeAnswer = {
  summary: Field.summary,
  certificate,
  domains,
  not_after: notAfter,
  days_left: daysLeft,
  issuer,
  fingerprint_sha256: Field.text("SHA-256 of the certificate."),
  proved: Field.flag("A TLS handshake with HAProxy showed it."),
  operation_id: operationId,
  ...Field.written,
  ...Field.planned
}

export const listCertsTool = tool({
  name: "haproxy_list_certs",
  title: "List certificates",
  scope: "read",
  reach: "filtered",
  description:
    "Lists the certificates by name, issued here or put there by hand: names, status, days left, whether HAProxy "
    + "serves it, next renewal, last error. Use it to see what expires or failed. Fingerprint and the domains that "
    + "need one: haproxy_cert_info.",
  annotations: reads,
  input: {
    search: Schema.optionalKey(Field.text("Text in a name.")),
    ...Field.paging(50)
  },
  output: {
    summary: Field.summary,
    certificates: Schema.Array(Schema.Struct(item)).annotate({ description: "One page, by name." }),
    total: int("Rows on all pages."),
    counts: Schema.Record(Schema.String, Schema.Int).annotate({ description: "All by status, whatever the search." }),
    next_cursor: Field.textOrNull("Cursor of the next page; null on the last.")
  },
  program: listCerts
})

export const certInfoTool = tool({
  name: "haproxy_cert_info",
  title: "Certificate",
  scope: "read",
  reach: "filtered",
  description:
    "Says all about one certificate, by its name or by a host that it stands for: validity, issuer, fingerprint, "
    + "chain, whether HAProxy serves it, next renewal, last error, and the domains that need it. Use it when a "
    + "browser complains, and before haproxy_renew_cert or haproxy_delete_cert.",
  annotations: reads,
  input: { domain: named },
  output: {
    summary: Field.summary,
    domain: Field.text("The domain that was asked for."),
    ...item,
    file: Field.text("Its file."),
    serial: Field.text("Serial number."),
    fingerprint_sha256: Field.text("SHA-256 of the certificate."),
    not_before: Field.textOrNull("When it begins, ISO 8601 in UTC."),
    key_type: Field.text("EC256, RSA2048, ED25519."),
    chain_length: int("Certificates after the first."),
    failures: int("Failed attempts in a row."),
    needed_by: neededBy
  },
  program: certInfo
})

export const issueCertTool = tool({
  name: "haproxy_issue_cert",
  title: "Issue certificate",
  scope: "certs",
  reach: "filtered",
  description:
    "Gets an HTTPS certificate for a domain, by default with the wildcard *.domain, from the CA (acme.sh, DNS) and serves it at once. "
    + "Takes seconds to minutes: then it answers an operation_id for haproxy_operation. Route the domain first: "
    + "haproxy_add_domain. Next: haproxy_cert_info.",
  annotations: issues,
  input: {
    domain: Field.text("Exact host name such as example.com."),
    wildcard: Schema.optionalKey(
      Schema.Boolean.annotate({ description: "Also *.domain.", default: true })
    ),
    ...Field.dryRun
  },
  output: writeAnswer,
  long: true,
  program: issueCert
})

export const renewCertTool = tool({
  name: "haproxy_renew_cert",
  title: "Renew certificate",
  scope: "certs",
  reach: "filtered",
  description:
    "Renews a certificate that was issued here when it is due; force makes a renewal of it at once (CAs limit how often). The "
    + "old one serves until the new one is proved. Happens by itself: use it after a failure was mended. May answer "
    + "an operation_id for haproxy_operation.",
  // With force each call gets a new certificate.
  annotations: { ...issues, idempotentHint: false },
  input: { domain: named, force: Field.offUnlessSaid("Also when it is not due."), ...Field.dryRun },
  output: writeAnswer,
  long: true,
  program: renewCert
})

export const renewAllCertsTool = tool({
  name: "haproxy_renew_all_certs",
  title: "Renew all certificates",
  scope: "certs",
  description:
    "Renews every certificate that was issued here and is due. This happens by itself: use it when the CA, the DNS "
    + "provider or its token was mended. May answer an operation_id for haproxy_operation. First look: "
    + "haproxy_list_certs.",
  annotations: issues,
  input: Field.dryRun,
  output: {
    summary: Field.summary,
    due: int("How many were due."),
    renewed: Field.texts("Renewed and served."),
    failed: Schema.Array(
      Schema.Struct({ certificate, error: Field.text("Why.") })
    ).annotate({ description: "What failed; the old ones go on serving." }),
    skipped: int("Not due, or tried a short time ago."),
    operation_id: operationId,
    warnings: Field.texts("What to look at; empty when all is well."),
    ...Field.planned
  },
  long: true,
  program: renewAllCerts
})

export const deleteCertTool = tool({
  name: "haproxy_delete_cert",
  title: "Delete certificate",
  scope: "certs",
  reach: "filtered",
  description:
    "Takes a certificate from HAProxy and deletes its file with its key, for good. Refused with CONFLICT while a "
    + "routed domain needs it, unless force: that site then has no HTTPS. Ask the user first. See needed_by of "
    + "haproxy_cert_info.",
  annotations: removes,
  input: {
    domain: Field.text("Name of the certificate, as haproxy_list_certs says it."),
    force: Field.offUnlessSaid("Also while a routed domain needs it."),
    ...Field.dryRun
  },
  output: { summary: Field.summary, certificate, needed_by: neededBy, ...Field.written, ...Field.planned },
  program: deleteCert
})

export const loadCertTool = tool({
  name: "haproxy_load_cert",
  title: "Load certificate",
  scope: "certs",
  reach: "filtered",
  description:
    "Loads a file NAME.pem (certificate, chain, key) that someone put into HAPROXY_CERT_DIR into HAProxy and "
    + "proves it by a TLS handshake; what served before stays if it is refused. Not renewed here. Use it after a "
    + "file came or changed.",
  annotations: sets,
  input: { domain: Field.text("NAME of NAME.pem in the folder; no path."), ...Field.dryRun },
  output: writeAnswer,
  program: loadCert
})
