/**
 * The program of StandInAcme.ts: `FOLDER VERSION` and then acme.sh's own arguments. What it prints and writes is that of
 * acme.sh 3.1.1 for `--issue` with a DNS hook.
 */
import { createHash } from "node:crypto"
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { FastAuthority } from "./FastAuthority.ts"
import type { AcmePlan } from "./StandInAcme.ts"

const [folder, version, ...args] = process.argv.slice(2) as [string, string, ...Array<string>]

const say = (text: string) => process.stdout.write(`[${new Date().toUTCString()}] ${text}\n`)

/** Values of an option, in order. */
const values = (option: string): ReadonlyArray<string> =>
  args.flatMap((arg, index) => arg === option ? [args[index + 1] ?? ""] : [])

const issue = async (): Promise<number> => {
  appendFileSync(join(folder, "acme-runs"), `${JSON.stringify(args)}\n`)
  const planFile = join(folder, "acme-plan.json")
  const plan = existsSync(planFile) ? JSON.parse(readFileSync(planFile, "utf8")) as AcmePlan : {}
  const pause = () => plan.takes === undefined ? undefined : setTimeout(plan.takes / 6)
  const names = values("-d")
  const first = names[0]!
  say(`Using CA: ${values("--server")[0]}`)
  say("Creating domain key")
  say(`Multi domain='${names.map((name) => `DNS:${name}`).join(",")}'`)
  for (const name of names) say(`Getting webroot for domain='${name}'`)
  for (const name of names) say(`Adding TXT value: c3RhbmRpbg for domain: _acme-challenge.${name.replace("*.", "")}`)
  await pause()
  while (typeof plan.waitFor === "string" && !existsSync(plan.waitFor)) await setTimeout(20)
  if (typeof plan.fail === "string") {
    process.stderr.write(`${plan.fail}\n`)
    return 1
  }
  for (const name of names) say(`Verifying: ${name}`)
  await pause()
  for (const name of names) say(`\u001b[1;32m${name} is verified.\u001b[0m`)
  say("Verification finished, beginning signing.")
  await pause()
  const home = values("--config-home")[0] ?? values("--home")[0]!
  const place = join(home, `${first}_ecc`)
  mkdirSync(place, { recursive: true })
  const notBefore = Date.now() - 60_000
  const caFile = join(folder, "acme-ca.json")
  const kept = existsSync(caFile) ? readFileSync(caFile, "utf8") : undefined
  const made = new FastAuthority("Stand-in CA", 1, kept).issue(names, {
    notBefore,
    notAfter: notBefore + (plan.days ?? 90) * 86_400_000
  })
  const [own, ...issuers] = made.chain.split(/(?<=-----END CERTIFICATE-----\n)/)
  writeFileSync(join(place, `${first}.key`), made.key, { mode: 0o600 })
  await pause()
  writeFileSync(join(place, `${first}.cer`), own!)
  await pause()
  writeFileSync(join(place, "ca.cer"), issuers.join(""))
  // Its copy is not written in one piece either.
  writeFileSync(join(place, "fullchain.cer"), made.chain.slice(0, 700))
  await pause()
  writeFileSync(join(place, "fullchain.cer"), made.chain)
  say("\u001b[1;32mCert success.\u001b[0m")
  process.stdout.write(own!)
  say(`Your cert is in: ${join(place, `${first}.cer`)}`)
  say(`Your cert key is in: ${join(place, `${first}.key`)}`)
  say(`And the full-chain cert is in: ${join(place, "fullchain.cer")}`)
  return 0
}

/** Where acme.sh keeps an account: CA_HOME, host and path of the directory; `ca.conf` and `account.key`. */
const register = (): number => {
  const { hostname, pathname } = new URL(values("--server")[0]!)
  const place = join(process.env["CA_HOME"]!, hostname + pathname)
  mkdirSync(place, { recursive: true, mode: 0o700 })
  const key = "a key of no account\n"
  writeFileSync(join(place, "account.key"), key, { mode: 0o600 })
  const hash = createHash("sha256").update(key).digest("base64")
  writeFileSync(join(place, "ca.conf"), `ACCOUNT_URL='https://127.0.0.1:1/acct/1'\nCA_KEY_HASH='${hash}'\n`)
  say("Registering account: https://127.0.0.1:1/directory")
  say("Registered")
  return 0
}

if (args.includes("--version") || args.includes("-v")) {
  process.stdout.write(`https://github.com/acmesh-official/acme.sh\nv${version}\n`)
} else if (args.includes("--register-account")) process.exitCode = register()
else if (args.includes("--issue")) process.exitCode = await issue()
else {
  process.stderr.write(`Unknown parameter: ${args[0] ?? ""}\n`)
  process.exitCode = 1
}
