/**
 * The bill of materials (CycloneDX 1.5, JSON) of the package's production dependencies.
 *
 * It is npm's own, made from package-lock.json and cut down to production: `npm sbom --omit dev` leaves out what a package of
 * development uses as well. It is refused unless it names every dependency, with version, hash and licence.
 */
import { execFileSync } from "node:child_process"
import { check, type Dependency } from "./Licences.ts"
import { ReleaseFailure } from "./ReleaseFailure.ts"

interface Component {
  readonly "bom-ref": string
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly hashes?: ReadonlyArray<{ readonly alg: string; readonly content: string }>
  readonly licenses?: ReadonlyArray<unknown>
}

export interface Sbom {
  readonly bomFormat: string
  readonly specVersion: string
  readonly serialNumber: string
  readonly version: number
  readonly metadata: { readonly component: Component }
  readonly components: ReadonlyArray<Component>
  readonly dependencies: ReadonlyArray<{ readonly ref: string; readonly dependsOn: ReadonlyArray<string> }>
}

const refOf = ({ name, version }: Dependency): string => `${name}@${version}`

/** npm's list of everything in a folder's package-lock.json. */
export const everything = (folder: string): Sbom =>
  JSON.parse(
    execFileSync("npm", ["sbom", "--sbom-format", "cyclonedx", "--sbom-type", "application", "--package-lock-only"], {
      cwd: folder,
      encoding: "utf8",
      maxBuffer: 64 << 20,
      stdio: ["ignore", "pipe", "inherit"]
    })
  ) as Sbom

const licencesOf = (licence: string): ReadonlyArray<unknown> =>
  /^[\w.-]+$/.test(licence) ? [{ license: { id: licence } }] : [{ expression: licence }]

/** The part of it that is production. `name`: that of the package, which npm takes from the folder. */
export const production = (all: Sbom, name: string, dependencies: ReadonlyArray<Dependency>): Sbom => {
  const wanted = new Map(dependencies.map((dependency) => [refOf(dependency), dependency]))
  const { component } = all.metadata
  const self = component["bom-ref"]
  return {
    ...all,
    metadata: { ...all.metadata, component: { ...component, name } },
    components: all.components.filter((found) => wanted.has(found["bom-ref"])).map((found) => ({
      ...found,
      licenses: found.licenses ?? licencesOf(wanted.get(found["bom-ref"])!.licence)
    })),
    dependencies: all.dependencies.filter(({ ref }) => ref === self || wanted.has(ref)).map(({ dependsOn, ref }) => ({
      ref,
      dependsOn: dependsOn.filter((on) => wanted.has(on))
    }))
  }
}

/** What is wrong with it; empty when nothing is. */
export const problems = (
  sbom: Sbom,
  name: string,
  version: string,
  dependencies: ReadonlyArray<Dependency>
): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (sbom.bomFormat !== "CycloneDX" || !/^1\.[5-9]$/.test(sbom.specVersion)) {
    found.push("it is no CycloneDX of 1.5 or later")
  }
  if (!/^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(sbom.serialNumber)) {
    found.push("it has no serial number")
  }
  const { component } = sbom.metadata
  if (component.name !== name || component.version !== version) {
    found.push(`it is of ${component.name}@${component.version}, not of ${name}@${version}`)
  }
  const byRef = new Map(sbom.components.map((component) => [component["bom-ref"], component]))
  if (byRef.size !== sbom.components.length) found.push("it names a component twice")
  for (const dependency of dependencies) {
    const ref = refOf(dependency)
    const its = byRef.get(ref)
    if (its === undefined) found.push(`${ref} is missing`)
    else {
      const purl = `pkg:npm/${dependency.name.replace("@", "%40")}@${dependency.version}`
      if (its.purl !== purl) found.push(`${ref} has the purl ${its.purl}, not ${purl}`)
      if (its.hashes?.some(({ alg, content }) => alg === "SHA-512" && /^[0-9a-f]{128}$/.test(content)) !== true) {
        found.push(`${ref} has no SHA-512`)
      }
      if (its.licenses === undefined || its.licenses.length === 0) found.push(`${ref} has no licence`)
    }
  }
  if (byRef.size > dependencies.length) found.push("it names what is no production dependency")
  const refs = new Set([component["bom-ref"], ...byRef.keys()])
  for (const { dependsOn, ref } of sbom.dependencies) {
    for (const on of [ref, ...dependsOn]) if (!refs.has(on)) found.push(`${on} is depended on and not named`)
  }
  for (const ref of refs) {
    if (!sbom.dependencies.some((row) => row.ref === ref)) found.push(`${ref} has no row of dependencies`)
  }
  return found
}

/** The bill of a folder's package; refuses one that is not complete, and licences that are not allowed. */
export const billOf = (
  folder: string,
  name: string,
  version: string,
  dependencies: ReadonlyArray<Dependency>
): Sbom => {
  check(dependencies)
  const sbom = production(everything(folder), name, dependencies)
  const wrong = problems(sbom, name, version, dependencies)
  if (wrong.length > 0) {
    throw new ReleaseFailure(
      `The bill of materials is not right: ${wrong.join("; ")}`,
      "Is package-lock.json up to date?"
    )
  }
  return sbom
}
