#!/usr/bin/env bash
# The control plane, driven by the AWS CLI alone: two layers and a function that uses both, versions, traffic
# split by an alias, signed code, a restricted principal; then everything is torn down.
# Needs: LAMINA (the program), AWS (the CLI), GUEST (a component that reads files), CALLS (invocations to count).
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${host:-}" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
say() { printf '== %s\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# A signing key, two callers: the owner, and one who may read and invoke one function but not another.
"$LAMINA" sign keygen --out key >profile.toml
profile=$(sed -n '1s/^# //p' profile.toml)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >lamina.toml <<EOF
listen = "127.0.0.1:$port"
[[keys]]
access_key_id = "OWNER"
secret_access_key = "owner-secret"
[[keys]]
access_key_id = "GUEST"
secret_access_key = "guest-secret"
name = "guest"
policy = '''{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": ["lambda:GetFunction", "lambda:InvokeFunction"], "Resource": "*"},
  {"Effect": "Deny", "Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:*:*:function:secret*"}]}'''
EOF
cat profile.toml >>lamina.toml
"$LAMINA" start --config lamina.toml --data-dir data 2>host.log & host=$!
for _ in $(seq 100); do grep -q "answers on" host.log && break; sleep 0.1; done
grep -q "answers on" host.log || die "the host did not start: $(cat host.log)"
export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export AWS_ACCESS_KEY_ID=OWNER AWS_SECRET_ACCESS_KEY=owner-secret
lambda() { "$AWS" lambda "$@"; }
refused() { # code, command...: the command must fail with this error
    local code=$1; shift
    if "$@" >refused.out 2>&1; then die "$* was allowed"; fi
    grep -q "$code" refused.out || die "$* was refused with $(cat refused.out)"
}
zip_of() { python3 - "$@" <<'EOF'
import sys, zipfile
out, *pairs = sys.argv[1:]
with zipfile.ZipFile(out, "w") as made:
    for pair in pairs:
        name, _, source = pair.partition("=")
        made.writestr(name, open(source[1:], "rb").read() if source.startswith("@") else source)
EOF
}
role=arn:aws:iam::000000000000:role/r

say "two layers and a function that uses both"
zip_of one.zip words/a=from-one words/b=from-one
zip_of two.zip words/b=from-two
one=$(lambda publish-layer-version --layer-name one --zip-file fileb://one.zip --query LayerVersionArn --output text)
two=$(lambda publish-layer-version --layer-name two --zip-file fileb://two.zip --query LayerVersionArn --output text)
zip_of f.zip "bootstrap.wasm=@$GUEST"
lambda create-function --function-name f --runtime provided.al2023 --handler bootstrap --role $role \
    --zip-file fileb://f.zip --layers "$one" "$two" --publish >/dev/null
lambda wait function-active-v2 --function-name f
read_at() { lambda invoke --function-name "$1" --payload "{\"do\":\"read\",\"path\":\"$2\"}" out.json >/dev/null; cat out.json; }
[ "$(read_at f /opt/words/a)" = '"from-one"' ] || die "the first layer is not there: $(cat out.json)"
[ "$(read_at f /opt/words/b)" = '"from-two"' ] || die "the later layer does not win: $(cat out.json)"

say "a second version, and an alias that splits 90/10"
lambda update-function-configuration --function-name f --description second >/dev/null
lambda wait function-updated-v2 --function-name f
lambda publish-version --function-name f >/dev/null
lambda wait published-version-active --function-name f --qualifier 2
lambda create-alias --function-name f --name live --function-version 1 \
    --routing-config 'AdditionalVersionWeights={2=0.1}' >/dev/null
# One after another: the CLI writes a line in two parts, which others would come between.
for _ in $(seq "$CALLS"); do
    lambda invoke --function-name f:live --payload '{"do":"echo"}' /dev/null --query ExecutedVersion --output text
done | sort | uniq -c | tee counts
awk -v calls="$CALLS" '{n[$2] = $1} END {exit n[1] + n[2] == calls && n[2] < calls * 0.5 ? 0 : 1}' counts ||
    die "the traffic is not split 90/10"

say "code must be signed"
config=$(lambda create-code-signing-config --allowed-publishers "SigningProfileVersionArns=$profile" \
    --code-signing-policies UntrustedArtifactOnDeployment=Enforce \
    --query CodeSigningConfig.CodeSigningConfigArn --output text)
lambda put-function-code-signing-config --function-name f --code-signing-config-arn "$config" >/dev/null
refused CodeVerificationFailedException lambda update-function-code --function-name f --zip-file fileb://f.zip
"$LAMINA" sign f.zip --key key --profile "$profile" --out signed.zip >/dev/null
# Its layers are held to it too.
refused layer:one:1 lambda update-function-code --function-name f --zip-file fileb://signed.zip
signed_layer() { # name
    "$LAMINA" sign "$1.zip" --key key --profile "$profile" --out "signed-$1.zip" >/dev/null
    lambda publish-layer-version --layer-name "$1" --zip-file "fileb://signed-$1.zip" \
        --query LayerVersionArn --output text
}
one=$(signed_layer one)
two=$(signed_layer two)
lambda update-function-configuration --function-name f --layers "$one" "$two" >/dev/null
lambda wait function-updated-v2 --function-name f
signer=$(lambda update-function-code --function-name f --zip-file fileb://signed.zip \
    --query SigningProfileVersionArn --output text)
[ "$signer" = "$profile" ] || die "signed by $signer"
lambda wait function-updated-v2 --function-name f

say "a principal that is restricted is denied"
lambda create-function --function-name secret --runtime provided.al2023 --handler bootstrap --role $role \
    --zip-file fileb://f.zip >/dev/null
lambda wait function-active-v2 --function-name secret
as_guest() { AWS_ACCESS_KEY_ID=GUEST AWS_SECRET_ACCESS_KEY=guest-secret "$@"; }
as_guest lambda invoke --function-name f --payload '{"do":"echo"}' out.json >/dev/null
refused AccessDeniedException as_guest lambda invoke --function-name secret --payload '{"do":"echo"}' out.json
refused AccessDeniedException as_guest lambda delete-function --function-name f
lambda add-permission --function-name f --statement-id s --action lambda:InvokeFunction \
    --principal s3.amazonaws.com --source-arn arn:aws:s3:::bucket >/dev/null
lambda get-policy --function-name f --query Policy --output text | grep -q arn:aws:s3:::bucket || die "no policy"

say "all is torn down"
lambda delete-alias --function-name f --name live
lambda delete-function --function-name f --qualifier 1
lambda delete-function --function-name f
lambda delete-function --function-name secret
lambda delete-code-signing-config --code-signing-config-arn "$config"
for version in 1 2; do
    lambda delete-layer-version --layer-name one --version-number $version
    lambda delete-layer-version --layer-name two --version-number $version
done
[ "$(lambda list-functions --query 'length(Functions)')" = 0 ] || die "functions are left"
[ "$(lambda list-layers --query 'length(Layers)')" = 0 ] || die "layers are left"
say "done"
