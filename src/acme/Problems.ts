/**
 * What the CA's problem documents (RFC 8555, 6.7; RFC 9773; the profiles draft) and curl's exit codes mean to an
 * operator, in words of ours. A type that is not here is not known, whatever the CA may call it.
 */

/** Why a run failed. */
export interface Failure {
  readonly message: string
  readonly hint: string
  readonly retryable: boolean
}

/** What the CA's problem types mean to an operator. */
export const problems: { readonly [type: string]: Failure } = {
  rateLimited: {
    message: "The CA's rate limit is reached.",
    hint: "Wait until it allows more; each CA documents its limits.",
    retryable: true
  },
  externalAccountRequired: {
    message: "The CA gives accounts only to those it knows: an external account binding is needed.",
    hint: "Get a key id and an HMAC key from the CA and set ACME_EAB_KID and ACME_EAB_HMAC_KEY.",
    retryable: false
  },
  rejectedIdentifier: {
    message: "The CA does not give certificates for one of the names.",
    hint: "Use another CA (ACME_SERVER) or other names.",
    retryable: false
  },
  unsupportedIdentifier: {
    message: "The CA does not give certificates for this kind of name.",
    hint: "Use another CA (ACME_SERVER).",
    retryable: false
  },
  caa: {
    message: "A CAA record in DNS forbids this CA to give certificates for one of the names.",
    hint: "Add the CA to the domain's CAA record, or use the one that it names.",
    retryable: false
  },
  dns: {
    message: "The CA could not look up the domain in DNS.",
    hint: "Check the domain's name servers and DNSSEC.",
    retryable: true
  },
  connection: {
    message: "The CA could not reach what it wanted to check.",
    hint: "Check the domain's name servers.",
    retryable: true
  },
  incorrectResponse: {
    message: "The CA did not find the TXT record that it wanted.",
    hint: "Let it wait longer for DNS: ACME_DNS_SLEEP=120.",
    retryable: true
  },
  unauthorized: {
    message: "The CA refuses this account or these names.",
    hint: "Check that the DNS hook changes the zone that the world sees, and that the account is still valid.",
    retryable: false
  },
  accountDoesNotExist: {
    message: "The CA does not know the account any more.",
    hint: "Move the CA's folder below ACME_HOME/ca away, so that a new account is made.",
    retryable: false
  },
  userActionRequired: {
    message: "The CA wants the account's owner to do something first, such as to agree to new terms.",
    hint: "Log in at the CA.",
    retryable: false
  },
  invalidContact: {
    message: "The CA does not accept the account's e-mail address.",
    hint: "Set another ACME_EMAIL.",
    retryable: false
  },
  unsupportedContact: {
    message: "The CA does not accept the account's e-mail address.",
    hint: "Set another ACME_EMAIL.",
    retryable: false
  },
  invalidProfile: {
    message: "The CA does not have the profile that is set.",
    hint: "Set ACME_PROFILE to one of its profiles, or leave it unset.",
    retryable: false
  },
  badPublicKey: {
    message: "The CA does not accept this kind of key.",
    hint: "Set another ACME_KEY_TYPE.",
    retryable: false
  },
  badCSR: {
    message: "The CA does not accept the request for these names with this kind of key.",
    hint: "Set another ACME_KEY_TYPE, or check the names.",
    retryable: false
  },
  badNonce: {
    message: "The CA kept refusing the numbers that it had given out itself.",
    hint: "It is probably overloaded: try again later.",
    retryable: true
  },
  serverInternal: {
    message: "The CA has an internal error.",
    hint: "Try again later; the CA's status page may say more.",
    retryable: true
  },
  malformed: {
    message: "The CA could not read the request.",
    hint: "Update acme.sh.",
    retryable: false
  }
}

/** Types that say more about the cause than others that come with them. */
export const mostTelling = ["rateLimited", "externalAccountRequired", "caa", "rejectedIdentifier", "invalidProfile"]

/** What curl's exit codes mean here (curl(1), EXIT CODES). */
export const curlCodes: { readonly [code: string]: string } = {
  5: "its proxy cannot be looked up",
  6: "its name cannot be looked up",
  7: "nothing answers there",
  28: "it does not answer in time",
  35: "TLS fails",
  52: "it answers nothing",
  56: "the connection breaks off",
  60: "its certificate is not trusted",
  77: "the file of trusted certificates cannot be read"
}
