/** Certificates: where they lie, how HAProxy's TLS is reached to prove them, and how acme.sh issues them. */
import {
  acmeServer,
  command,
  duration,
  email,
  endpoint,
  folder,
  integer,
  keyId,
  oneOf,
  optional,
  path,
  runtimeName,
  secret,
  type Setting,
  users,
  withDefault,
  word
} from "../Setting.ts"

export const certificates = {
  haproxyCertDir: withDefault("HAPROXY_CERT_DIR", folder, "/opt/haproxy/certs", {
    group: "Certificates",
    description: "Folder of the certificates as this process sees it: NAME.pem, which HAProxy loads as `crt`.",
    metavar: "FOLDER",
    example: "/etc/haproxy/certs",
    usedBy: users.haproxy
  }),
  haproxyRuntimeCertDir: optional("HAPROXY_RUNTIME_CERT_DIR", runtimeName, "found in `show ssl crt-list`", {
    group: "Certificates",
    description: "The same folder as HAProxy names it, when the two differ (a container mount).",
    metavar: "FOLDER",
    example: "/usr/local/etc/haproxy/certs",
    usedBy: users.haproxy
  }),
  haproxyCrtListFile: optional("HAPROXY_CRT_LIST_FILE", path, "the folder itself is the list", {
    group: "Certificates",
    description: "crt-list that HAProxy loads in place of the folder, as this process sees it; kept current.",
    metavar: "FILE",
    example: "/etc/haproxy/crt-list.txt",
    usedBy: users.haproxy
  }),
  haproxyTlsAddress: optional("HAPROXY_TLS_ADDRESS", endpoint, "found among HAProxy's listeners", {
    group: "Certificates",
    description: "Address and port where HAProxy answers TLS, for the handshake that proves a certificate.",
    metavar: "HOST:PORT",
    example: "10.0.0.2:443",
    usedBy: users.serving
  }),
  haproxyCertsFile: optional("HAPROXY_CERTS_FILE", path, "certificates.json beside HAPROXY_MAP_FILE", {
    group: "Certificates",
    description: "certificates.json of the Python version; read once, at the first start with an empty database.",
    metavar: "FILE",
    example: "/opt/haproxy/conf/certificates.json",
    usedBy: users.serving
  }),
  acmeWhere: withDefault("ACME_WHERE", oneOf("local", "remote"), "local", {
    group: "Certificates",
    description:
      "Where acme.sh runs: beside this process, or (remote) on HAProxy's host over SSH, with all paths over there.",
    metavar: "local|remote",
    example: "remote",
    usedBy: users.serving
  }),
  acmeHome: withDefault("ACME_HOME", folder, "~/.acme.sh", {
    group: "Certificates",
    description: "Folder of acme.sh: its accounts, its DNS hooks and, where it was installed there, itself.",
    metavar: "FOLDER",
    example: "/var/lib/acme.sh",
    usedBy: users.serving
  }),
  acmeCommand: optional("ACME_COMMAND", command, "acme.sh in ACME_HOME, else in PATH", {
    group: "Certificates",
    description: "The program acme.sh, 3.0.6 or later: words, or a JSON array of them. No shell reads it.",
    metavar: "COMMAND",
    example: "/usr/local/bin/acme.sh",
    usedBy: users.serving
  }),
  acmeServer: withDefault("ACME_SERVER", acmeServer, "google", {
    group: "Certificates",
    description:
      "The CA: google, letsencrypt, letsencrypt_test, zerossl, buypass, sslcom, or the URL of its directory.",
    metavar: "CA",
    example: "letsencrypt",
    usedBy: users.serving
  }),
  acmeEmail: optional("ACME_EMAIL", email, "none", {
    group: "Certificates",
    description: "E-mail address of the account at the CA.",
    metavar: "ADDRESS",
    example: "ops@example.com",
    usedBy: users.serving
  }),
  acmeEabKid: optional("ACME_EAB_KID", keyId, "none", {
    group: "Certificates",
    description: "Key id of the external account binding, where the CA wants one (google, zerossl, sslcom).",
    metavar: "ID",
    example: "kid-1",
    usedBy: users.serving
  }),
  acmeEabHmacKey: optional("ACME_EAB_HMAC_KEY", secret, "none", {
    group: "Certificates",
    description: "HMAC key of the external account binding; may stand in ACME_CREDENTIALS_FILE instead.",
    metavar: "KEY",
    example: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
    usedBy: users.serving,
    secret: true
  }),
  acmeDns: withDefault("ACME_DNS", word, "dns_cf", {
    group: "Certificates",
    description: "DNS hook of acme.sh that proves the domains: dns_cf is Cloudflare.",
    metavar: "HOOK",
    example: "dns_hetzner",
    usedBy: users.serving
  }),
  acmeDnsSleep: optional("ACME_DNS_SLEEP", integer(0, 3_600), "acme.sh asks public resolvers", {
    group: "Certificates",
    description: "Seconds to wait for the TXT records, in place of asking for them.",
    metavar: "SECONDS",
    example: "60",
    usedBy: users.serving
  }),
  acmeCredentialsFile: withDefault("ACME_CREDENTIALS_FILE", path, "~/.secrets/cloudflare.ini", {
    group: "Certificates",
    description: "Credentials of the DNS hook, mode 0600: NAME=value lines (CF_Token=…), or certbot's cloudflare.ini.",
    metavar: "FILE",
    example: "/etc/haproxy-mcp/dns.env",
    usedBy: users.serving
  }),
  acmeKeyType: withDefault("ACME_KEY_TYPE", oneOf("ec-256", "ec-384", "2048", "3072", "4096"), "ec-256", {
    group: "Certificates",
    description: "Key of new certificates: an elliptic curve, or the length of an RSA key.",
    metavar: "TYPE",
    example: "2048",
    usedBy: users.serving
  }),
  acmeProfile: optional("ACME_PROFILE", word, "the CA's own", {
    group: "Certificates",
    description: "Profile of the CA for new certificates (Let's Encrypt: classic, tlsserver, shortlived).",
    metavar: "PROFILE",
    example: "shortlived",
    usedBy: users.serving
  }),
  acmeCaBundle: optional("ACME_CA_BUNDLE", path, "the system's", {
    group: "Certificates",
    description: "Root certificates (PEM) to trust the CA's own HTTPS with: for a private CA.",
    metavar: "FILE",
    example: "/etc/step-ca/root.pem",
    usedBy: users.serving
  }),
  acmeTimeout: withDefault("ACME_TIMEOUT", duration("10s", "60m"), "10m", {
    group: "Certificates",
    description: "Longest time of one run of acme.sh; then it is ended.",
    metavar: "TIME",
    example: "5m",
    usedBy: users.serving
  })
} as const satisfies Record<string, Setting<unknown>>
