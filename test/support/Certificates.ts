/**
 * Certificates for tests of what becomes of them: real ones, made in milliseconds, good and bad in every way that
 * matters. The CA is FastAuthority's.
 */
import * as Result from "effect/Result"
import { generateKeyPairSync, type KeyObject } from "node:crypto"
import type { CertificateBundle } from "../../src/haproxy/certificates/Bundle.ts"
import { parseBundle } from "../../src/haproxy/certificates/Pem.ts"
import { FastAuthority, type FastCertificate } from "./FastAuthority.ts"

export type KeyKind = "EC256" | "EC384" | "RSA2048" | "RSA4096" | "ED25519"

export interface CertificateOptions {
  /** Default EC256. */
  readonly key?: KeyKind
  /** Days from now at which it begins; default -1. */
  readonly from?: number
  /** Days from now at which it ends; default 89. */
  readonly to?: number
  /** Intermediates that come with it; 0: signed by itself. Default 1. */
  readonly chain?: number
}

const day = 86_400_000
const authorities = new Map<number, FastAuthority>()

/** The CA whose certificates come with so many intermediates; one for each number in a process. */
export const authority = (chain = 1): FastAuthority => {
  const known = authorities.get(chain)
  if (known !== undefined) return known
  const made = new FastAuthority(`Test CA of ${chain}`, chain)
  authorities.set(chain, made)
  return made
}

const newKey = (kind: KeyKind): KeyObject => {
  switch (kind) {
    case "EC256":
      return generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey
    case "EC384":
      return generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey
    case "RSA2048":
      return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
    case "RSA4096":
      return generateKeyPairSync("rsa", { modulusLength: 4096 }).privateKey
    case "ED25519":
      return generateKeyPairSync("ed25519").privateKey
  }
}

/** A certificate for these names. One that is signed by itself has an EC key. */
export const makeCertificate = (
  names: ReadonlyArray<string>,
  options: CertificateOptions = {}
): FastCertificate => {
  const { chain = 1, from = -1, key = "EC256", to = 89 } = options
  const now = Date.now()
  return authority(Math.max(1, chain)).issue(names, {
    key: newKey(key),
    selfSigned: chain === 0,
    notBefore: now + from * day,
    notAfter: now + to * day
  })
}

/** A PEM as the control plane takes it. Fails on one that it does not take. */
export const bundleOf = (text: string): CertificateBundle => {
  const parsed = parseBundle(text)
  if (Result.isFailure(parsed)) throw new Error(`no bundle: the PEM ${parsed.failure.problem}`)
  return parsed.success
}

/** {@link makeCertificate} and {@link bundleOf}. */
export const makeBundle = (names: ReadonlyArray<string>, options: CertificateOptions = {}): CertificateBundle =>
  bundleOf(makeCertificate(names, options).text)

/** The PEM of a certificate with the key of another. */
export const mismatched = (names: ReadonlyArray<string>): string =>
  makeCertificate(names).chain + makeCertificate(names).key
