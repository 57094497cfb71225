#!/usr/bin/env bash
# What Apache Kafka's secure listeners need, for tests: kafka-security.sh certificates DIRECTORY | handler JARS CLASSES.
# Nothing of it is a secret worth keeping: it is made anew with the broker's storage.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

authority() { # authority NAME
  key "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 3650 -out "$1.pem" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

# signed NAME AUTHORITY DAYS EXTENSIONS: NAME.pem has the certificate, NAME.key the key.
signed() {
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days "$3" -extfile <(printf '%b' "$4") -out "$1.pem" 2>/dev/null
  rm -f "$1.csr"
}

# The brokers are connected to as 127.0.0.1; `localhost` is a name that their certificates do not have.
certificates() {
  mkdir -p "$1"
  cd "$1"
  local broker='subjectAltName=IP:127.0.0.1,DNS:kafka.example.com\nextendedKeyUsage=serverAuth\n' client='extendedKeyUsage=clientAuth\n'
  authority authority
  authority stranger
  signed broker authority 3650 "$broker"
  # Valid for no time at all.
  signed expired_broker authority 0 "$broker"
  signed client authority 3650 "$client"
  signed expired_client authority 0 "$client"
  signed strange_client stranger 3650 "$client"
  signed intermediate authority 3650 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n'
  signed far_client intermediate 3650 "$client"
  # The client's own certificate first, then the one that signed it.
  cat intermediate.pem >>far_client.pem
  for name in broker expired_broker; do cat $name.key $name.pem >$name.keystore.pem; done
  openssl pkcs8 -topk8 -in client.key -v2 aes-256-cbc -passout pass:locked -out client.locked.key
  # Postgres's user reads some of them.
  chmod 644 ./*.key
}

# The broker's validator of MSK IAM tokens; Eclipse's compiler is among the jars, so a JRE is enough.
handler() {
  local source=$ROOT/tests/kafka/MskTokenValidator.java jars=$1 classes=$2
  if [ "$(cat "$classes/source" 2>/dev/null)" = "$(cksum <"$source")" ]; then return; fi
  rm -rf "$classes"
  mkdir -p "$classes"
  java -cp "$jars/*" org.eclipse.jdt.internal.compiler.batch.Main -17 -d "$classes" -cp "$(echo "$jars"/kafka-clients-*.jar)" "$source"
  cksum <"$source" >"$classes/source"
}

case ${1:-} in
  certificates) certificates "$2" ;;
  handler) handler "$2" "$3" ;;
  *) die "usage: kafka-security.sh certificates DIRECTORY | handler JARS CLASSES" ;;
esac
