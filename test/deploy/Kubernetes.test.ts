/**
 * The manifests: what Kubernetes' own schemas say of them, unknown fields included, and what we promise of them. No
 * cluster is asked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { basename, join, relative } from "node:path"
import { parseAllDocuments } from "yaml"
import { decodeSettings } from "../../src/Config.ts"

const folder = join(import.meta.dirname, "..", "..", "deploy", "kubernetes")

// The test reads what YAML holds: any field may be there, or not.
// oxlint-disable-next-line typescript/no-explicit-any
type Manifest = any
type Validate = ((value: unknown) => boolean) & { errors?: ReadonlyArray<unknown> | null }

const manifests: ReadonlyArray<{ readonly file: string; readonly manifest: Manifest }> = readdirSync(folder, {
  recursive: true,
  withFileTypes: true
})
  .filter((entry) => entry.name.endsWith(".yaml"))
  .map((entry) => join(entry.parentPath, entry.name))
  .flatMap((path) =>
    parseAllDocuments(readFileSync(path, "utf8"), { version: "1.1" }).map((document) => {
      assert.deepStrictEqual([...document.errors, ...document.warnings], [], path)
      return { file: relative(folder, path), manifest: document.toJS() as Manifest }
    })
  )

const objects = manifests.filter(({ manifest }) => manifest.kind !== "Kustomization")
const find = (file: string, kind: string): Manifest => {
  const found = objects.filter((object) => object.file === file && object.manifest.kind === kind)
  assert.lengthOf(found, 1, `${kind} in ${file}`)
  return found[0]!.manifest
}

/** `apps/v1`, `Deployment` → `IoK8sApiAppsV1Deployment`, the schema's name in the package. */
const schemaName = ({ apiVersion, kind }: Manifest): string => {
  const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["core", apiVersion]
  return `IoK8sApi${capital(group.split(".")[0])}${capital(version)}${kind}`
}

/** The paths of a value, and those of them that a validator did not look at: fields that the schema does not know. */
const validated = (validate: Validate, value: object) => {
  const seen = new Set<string>()
  const watched = (part: unknown, path: string): unknown =>
    typeof part === "object" && part !== null
      ? new Proxy(part as Record<string, unknown>, {
        get: (target, key) => {
          const below = `${path}/${String(key)}`
          seen.add(below)
          return watched(target[key as string], below)
        }
      })
      : part
  const paths = (part: unknown, path: string): ReadonlyArray<string> =>
    typeof part === "object" && part !== null
      ? Object.entries(part).flatMap(([key, below]) => [`${path}/${key}`, ...paths(below, `${path}/${key}`)])
      : []
  const valid = validate(watched(value, ""))
  return { valid, errors: validate.errors ?? [], unknown: paths(value, "").filter((path) => !seen.has(path)) }
}

const schemaOf = async (manifest: Manifest): Promise<Validate> => {
  const module = await import(`kubernetes-models/_schemas/${schemaName(manifest)}`) as { readonly validate: Validate }
  return module.validate
}

const podOf = (deployment: Manifest): Manifest => deployment.spec.template.spec
const ours = (deployment: Manifest): Manifest =>
  podOf(deployment).containers.find(({ name }: Manifest) => name === "haproxy-mcp")

describe("a manifest", () => {
  it.each(objects.map(({ file, manifest }) => [`${file}: ${manifest.kind}`, manifest] as const))(
    "%s is what Kubernetes takes, with no field that it does not know",
    async (_, manifest) => {
      assert.deepStrictEqual(validated(await schemaOf(manifest), manifest), { valid: true, errors: [], unknown: [] })
      assert.isUndefined(manifest.metadata.namespace)
    }
  )

  it("would be refused with a misspelt field, a wrong type or a missing one", async () => {
    const broken = async (change: (deployment: Manifest) => void) => {
      const copy = structuredClone(find("deployment.yaml", "Deployment"))
      change(copy)
      return validated(await schemaOf(copy), copy)
    }
    const misspelt = await broken((it) => podOf(it).enableServicelinks = false)
    assert.deepStrictEqual(misspelt.unknown, ["/spec/template/spec/enableServicelinks"])
    const deep = await broken((it) => ours(it).securityContext.readOnlyRootFileSystem = true)
    assert.lengthOf(deep.unknown, 1)
    assert.isFalse((await broken((it) => it.spec.replicas = "1")).valid)
    assert.isFalse((await broken((it) => delete it.spec.selector)).valid)
  })
})

describe.each(["deployment.yaml", "one-pod/haproxy-mcp.yaml"])("the Deployment of %s", (file) => {
  const deployment = find(file, "Deployment")
  const pod = podOf(deployment)
  const container = ours(deployment)

  it("is one writer at a time", () => {
    assert.strictEqual(deployment.spec.replicas, 1)
    assert.deepStrictEqual(deployment.spec.strategy, { type: "Recreate" })
  })

  it("gets no variables of Services, no token of the cluster, and time to stop", () => {
    assert.isFalse(pod.enableServiceLinks)
    assert.isFalse(pod.automountServiceAccountToken)
    // Main.ts ends within ten seconds of SIGTERM.
    assert.isAbove(pod.terminationGracePeriodSeconds, 20)
  })

  it("runs without root, rights and a writable root", () => {
    assert.deepInclude(pod.securityContext, { runAsNonRoot: true, runAsUser: 99, runAsGroup: 99, fsGroup: 99 })
    assert.deepStrictEqual(pod.securityContext.seccompProfile, { type: "RuntimeDefault" })
    for (const { name, securityContext } of pod.containers) {
      assert.deepStrictEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] }
      }, name)
    }
  })

  it("is asked for its life by /healthz and for its readiness by /readyz", () => {
    assert.strictEqual(container.livenessProbe.httpGet.path, "/healthz")
    assert.strictEqual(container.startupProbe.httpGet.path, "/healthz")
    assert.strictEqual(container.readinessProbe.httpGet.path, "/readyz")
    const ports = container.ports.map(({ name }: Manifest) => name)
    for (const probe of ["livenessProbe", "startupProbe", "readinessProbe"]) {
      assert.include(ports, container[probe].httpGet.port)
    }
    assert.isDefined(container.resources.requests.memory)
    assert.isDefined(container.resources.limits.memory)
  })

  it("mounts only volumes that it has, and where its settings say that something is", () => {
    const volumes = pod.volumes.map(({ name }: Manifest) => name)
    for (const { name } of container.volumeMounts) assert.include(volumes, name)
    const local = [
      "MCP_TOKEN_FILE",
      "HAPROXY_SSH_KEY_FILE",
      "HAPROXY_SSH_KNOWN_HOSTS",
      "HAPROXY_DB_FILE",
      "XDG_CACHE_HOME"
    ]
    const mounts = container.volumeMounts.map(({ mountPath }: Manifest) => `${mountPath}/`)
    for (const { name, value } of container.env) {
      if (!local.includes(name)) continue
      assert.isTrue(mounts.some((path: string) => value.startsWith(path)), `${name}: nothing is mounted at ${value}`)
    }
  })

  it.effect("has settings that we accept as a whole", () =>
    Effect.gen(function*() {
      const env = Object.fromEntries(
        container.env.map(({ name, value, valueFrom }: Manifest) => {
          assert.isTrue(value === undefined ? valueFrom !== undefined : typeof value === "string", name)
          return [name, value ?? "from-a-secret"]
        })
      )
      const settings = yield* decodeSettings({ env })
      assert.deepStrictEqual(settings.notices, [])
      assert.strictEqual(settings.mcpPort, 8000)
      assert.strictEqual(settings.ssh !== null, file === "deployment.yaml")
    }))
})

describe("the pod with HAProxy elsewhere", () => {
  const deployment = find("deployment.yaml", "Deployment")
  const secret = find("secret.example.yaml", "Secret")
  const { spec } = find("networkpolicy.yaml", "NetworkPolicy")
  const valueOf = (name: string): string => ours(deployment).env.find((one: Manifest) => one.name === name)?.value

  it("finds token, key and known_hosts in the Secret, which holds only placeholders", () => {
    const volume = podOf(deployment).volumes.find(({ name }: Manifest) => name === "secret")
    assert.deepStrictEqual(volume.secret, { secretName: secret.metadata.name, defaultMode: 0o400 })
    const files = ["MCP_TOKEN_FILE", "HAPROXY_SSH_KEY_FILE", "HAPROXY_SSH_KNOWN_HOSTS"].map((name) => valueOf(name))
    assert.deepStrictEqual(files.map((file) => basename(file)).sort(), Object.keys(secret.stringData).sort())
    for (const value of Object.values<string>(secret.stringData)) assert.match(value, /replace/)
  })

  it("keeps what is durable on HAProxy's host and nothing of its own", () => {
    const data = podOf(deployment).volumes.find(({ name }: Manifest) => name === "data")
    assert.isDefined(data.emptyDir)
    assert.strictEqual(valueOf("HAPROXY_REMOTE_SYNC"), "strict")
    assert.isDefined(valueOf("HAPROXY_REMOTE_DB_FILE"))
  })

  it("is let out to DNS and to HAProxy's host alone, and in from labelled pods to its port", () => {
    assert.deepStrictEqual(spec.policyTypes, ["Ingress", "Egress"])
    assert.deepStrictEqual(spec.podSelector.matchLabels, deployment.spec.selector.matchLabels)
    assert.deepStrictEqual(spec.ingress.flatMap(({ ports }: Manifest) => ports), [{ protocol: "TCP", port: "mcp" }])
    for (const rule of [...spec.ingress, ...spec.egress]) assert.isNotEmpty(rule.from ?? rule.to)
    const ports = spec.egress.flatMap((rule: Manifest) => rule.ports.map(({ port }: Manifest) => port))
    assert.deepStrictEqual(ports, [53, 53, Number(valueOf("HAPROXY_SSH_PORT")), 443])
  })

  it("is what the Service and the kustomization name", () => {
    const service = find("service.yaml", "Service")
    assert.deepStrictEqual(service.spec.selector, deployment.spec.selector.matchLabels)
    const { manifest } = manifests.find(({ manifest }) => manifest.kind === "Kustomization")!
    for (const resource of manifest.resources) assert.isTrue(objects.some(({ file }) => file === resource), resource)
    // An example must never be applied.
    assert.notInclude(manifest.resources, "secret.example.yaml")
    assert.strictEqual(manifest.images[0].name, ours(deployment).image)
  })
})
