/**
 * What acme.sh says, as phases and failures in our own words.
 *
 * Its output holds text of strangers (the CA, the DNS provider) and may hold credentials, so nothing of it is passed
 * on: lines are only compared with the sentences of acme.sh 3.0.6 to 3.1.5, and of the CA's problem documents only the
 * type counts, if it is one of those that RFC 8555 (6.7), RFC 9773 and the profiles draft define. What is taken over
 * is a number (curl's exit code, a Retry-After) or one of the names that were asked for.
 */
import { curlCodes, type Failure, mostTelling, problems } from "./Problems.ts"

/** Where a run is. `total` is the same all the way. */
export interface Phase {
  readonly done: number
  readonly total: number
  readonly message: string
}

/** What one line meant: a new phase, or that there is no use in waiting for the end. */
export interface Heard {
  readonly phase?: Phase
  readonly giveUp?: true
}

const said = {
  reached: /^Using CA: /,
  registering: /^Registering account/i,
  registered: /^(?:Registered|Already registered|EAB already registered)/i,
  ordered: /^(?:Getting webroot for domain|Getting domain auth token)/,
  adding: /^Adding (?:TXT|txt) value/,
  added: /^The (?:TXT|txt) record (?:has been successfully added|is added)/,
  waiting: /^(?:Let's check each (?:DNS|dns) record now|Sleeping for .* to wait for the )/,
  verifying: /^Verifying: /,
  verified: /^Success$|^.* is already verified/,
  signing: /^(?:Verification finished, beginning signing|Verify finished, start to sign)/,
  downloading: /^Downloading cert/,
  done: /^Cert success/,
  overloaded: /^(?:It seems the CA server is (?:currently overloaded|busy now)|The CA server answered \d+, let's wait)/,

  unreachable: /^(?:Can ?not init api for|Can not init api|Cannot connect to \S+ to get nonce|Can not connect to)/i,
  curl: /libcurl-errors\.html for error code: (\d{1,3})$/,
  retryAfter: /^The retryafter=\s*(\d{1,9}) value is too large/i,
  gaveUp: /^Giving up sending to CA server/,
  noHook: /^Can ?not find (?:DNS API|dns api) hook for/i,
  badHook: /^(?:Error loading file .*API file|It seems that your (?:API|api) file is incorrect|Load file .* error)/i,
  addFailed: /^Error (?:adding TXT record to domain|add txt for domain)/i,
  noZone: /^invalid domain$/i,
  noCredentials: /^You (?:didn't|haven't|don't|did not|must) (?:specify|specified|provide|provided|export)/i,
  dnsNotSeen: /^(?:Timed out waiting for DNS|Timeout?,? waiting for DNS|Error checking DNS|check dns error)/i,
  rejected: /^(\S+?): ?(?:Invalid status|Verify error|Challenge error|Unknown status|Invalid code|Timeout)/,
  accountRefused: /^(?:Error registering account|Account registration error|Register account Error)/i,
  noBinding: /^No EAB credentials found for ZeroSSL/,
  orderRefused: /^(?:Error creating new order|Create new order|Create new order error)/i,
  signingFailed: /^(?:Signing failed|Sign failed|Signing error|A signing error)/i
} as const

const urn = /urn:ietf:params:acme:error:([A-Za-z]{3,40})/g

/** Phases of a run for so many names. */
export const stepsFor = (names: number): number => 2 * names + 5

/** Reads the output of one run. */
export class Output {
  private readonly names: ReadonlyArray<string>
  private readonly total: number
  private done = 0
  private readonly heard = new Set<keyof typeof said>()
  private readonly types = new Set<string>()
  private rejectedName: string | null = null
  private curlCode: string | null = null
  private retryAfter: number | null = null

  constructor(names: ReadonlyArray<string>) {
    this.names = names
    this.total = stepsFor(names.length)
  }

  /** Takes one line. */
  read(line: string): Heard {
    // With a terminal acme.sh would add the time and colours; without one a hook may still do so.
    // oxlint-disable-next-line no-control-regex
    const text = line.replace(/\u001b\[[0-9;]*m/g, "").replace(/^\[[^\]]{0,40}\]\s/, "").trim()
    for (const [, type] of text.matchAll(urn)) if (Object.hasOwn(problems, type!)) this.types.add(type!)
    for (const [kind, pattern] of Object.entries(said) as ReadonlyArray<[keyof typeof said, RegExp]>) {
      const match = pattern.exec(text)
      if (match === null) continue
      this.heard.add(kind)
      return this.note(kind, match[1] ?? "")
    }
    return {}
  }

  private note(kind: keyof typeof said, detail: string): Heard {
    const count = this.names.length
    switch (kind) {
      case "reached":
        return this.reach(1, "The CA answers.")
      case "registering":
        return this.reach(1, "The account is being registered.")
      case "ordered":
        return this.reach(2, "The CA has taken the order.")
      case "adding":
        return this.reach(Math.max(this.done, 2), "A TXT record is being added.")
      case "added":
        return this.reach(Math.min(this.done + 1, 2 + count), "A TXT record was added.")
      case "waiting":
        return this.reach(3 + count, "Waiting until DNS shows the TXT records.")
      case "verifying":
        return this.reach(Math.max(this.done, 3 + count), "The CA is verifying a name.")
      case "verified":
        return this.reach(Math.min(Math.max(this.done, 3 + count) + 1, 3 + 2 * count), "The CA has verified a name.")
      case "signing":
        return this.reach(3 + 2 * count, "The CA is signing the certificate.")
      case "downloading":
        return this.reach(4 + 2 * count, "The certificate is being downloaded.")
      case "done":
        return this.reach(this.total, "The certificate is there.")
      case "overloaded":
        return this.reach(this.done, "The CA is busy; acme.sh tries again.")
      case "curl":
        this.curlCode = detail
        return {}
      case "retryAfter":
        this.retryAfter = Number(detail)
        return {}
      case "rejected":
        this.rejectedName ??= this.names.find((name) => name === detail || name === `*.${detail}`) ?? null
        return {}
      case "unreachable":
        // acme.sh would try ten times, ten seconds apart: the one who asked can do that better.
        return { giveUp: true }
      default:
        return {}
    }
  }

  private reach(done: number, message: string): Heard {
    this.done = Math.max(this.done, done)
    return { phase: { done: this.done, total: this.total, message } }
  }

  /** Why the run failed, after its last line. `wait`: seconds of the CA's last Retry-After, if it sent one. */
  failure(hook: string, server: string, wait: number | null): Failure {
    const host = new URL(server).hostname
    const type = mostTelling.find((one) => this.types.has(one)) ?? [...this.types].findLast((one) => one !== "badNonce")
    if (this.heard.has("unreachable")) {
      const why = this.curlCode === null ? undefined : curlCodes[this.curlCode]
      return {
        message: `The CA ${host} cannot be reached${why === undefined ? "" : `: ${why}`}.`,
        hint: this.curlCode === "60"
          ? "Name the root certificate of a private CA in ACME_CA_BUNDLE."
          : "Check ACME_SERVER and this machine's way to the internet; it is worth trying again.",
        retryable: true
      }
    }
    const seconds = this.retryAfter ?? (type === "rateLimited" ? wait : null)
    if (seconds !== null) {
      const limited = type === "rateLimited" ? "'s rate limit is reached: it" : ""
      return {
        message: `The CA ${host}${limited} wants to be left alone for ${Math.ceil(seconds / 60)} minutes.`,
        hint: "Try again after that.",
        retryable: true
      }
    }
    return this.ofHook(hook) ?? this.ofCa(host, type)
  }

  private ofHook(hook: string): Failure | null {
    if (this.heard.has("noHook") || this.heard.has("badHook")) {
      return {
        message: `acme.sh has no DNS hook ${hook} that works.`,
        hint: "Set ACME_DNS to a file in the folder dnsapi of acme.sh or of ACME_HOME.",
        retryable: false
      }
    }
    if (this.heard.has("addFailed")) {
      const credentials = this.heard.has("noCredentials") || this.heard.has("noZone")
      return {
        message: credentials
          ? `The DNS hook ${hook} found no zone for these names with its credentials.`
          : `The DNS hook ${hook} could not add a TXT record.`,
        hint: "Check the credentials in ACME_CREDENTIALS_FILE, and that they may edit the domain's zone.",
        retryable: !credentials
      }
    }
    return this.heard.has("dnsNotSeen")
      ? {
        message: "The TXT records did not appear in public DNS.",
        hint: "Check that the domain is delegated to the zone that the DNS hook edits.",
        retryable: true
      }
      : null
  }

  private ofCa(host: string, type: string | undefined): Failure {
    if (type !== undefined && mostTelling.includes(type)) return problems[type]!
    if (this.heard.has("rejected")) {
      return {
        message: this.rejectedName === null
          ? `The CA ${host} could not verify one of the names.`
          : `The CA ${host} could not verify ${this.rejectedName}.`,
        hint: "It did not find the right TXT record: check that the DNS hook edits the zone that the world sees, "
          + "or let it wait longer with ACME_DNS_SLEEP.",
        retryable: true
      }
    }
    if (type !== undefined) return problems[type]!
    if (this.heard.has("noBinding")) return problems["externalAccountRequired"]!
    const what = this.heard.has("accountRefused")
      ? "refused the account"
      : this.heard.has("orderRefused")
      ? "refused the order"
      : this.heard.has("signingFailed")
      ? "did not sign the certificate"
      : null
    if (what !== null) {
      return {
        message: `The CA ${host} ${what}.`,
        hint: "Run acme.sh by hand with --staging or --debug to see more.",
        retryable: false
      }
    }
    return this.heard.has("gaveUp")
      ? { message: `The CA ${host} did not take the requests.`, hint: "Try again later.", retryable: true }
      : {
        message: `acme.sh failed after step ${this.done} of ${this.total} for a reason that is not known here.`,
        hint: "Run acme.sh by hand with --debug to see more.",
        retryable: true
      }
  }
}
