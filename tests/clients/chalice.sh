#!/usr/bin/env bash
# A deployment tool of AWS's own drives the host as it drives AWS: it deploys, deploys again, and deletes. Its
# functions are in Python, whose runtime is not installed on this host.
# Needs: CHALICE, AWS (the programs) and their environment.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/.chalice" && cd "$work"
die() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
shown() { "$AWS" lambda get-function --function-name shop-dev-greet --query "$1" --output text; }
cat >app.py <<'EOF'
from chalice import Chalice

app = Chalice(app_name="shop")


@app.lambda_function(name="greet")
def greet(event, context):
    return "one"
EOF
touch requirements.txt
cat >.chalice/config.json <<'EOF'
{"version": "2.0", "app_name": "shop", "stages": {"dev": {
  "manage_iam_role": false, "iam_role_arn": "arn:aws:iam::000000000000:role/r", "lambda_memory_size": 256,
  "environment_variables": {"STAGE": "dev"}, "tags": {"team": "a"}, "reserved_concurrency": 5}}}
EOF
"$CHALICE" deploy >deployed
grep -q "function:shop-dev-greet" deployed || die "$(cat deployed)"
first=$(shown Configuration.CodeSha256)
[ "$(shown '[Configuration.MemorySize,Configuration.Environment.Variables.STAGE,Tags.team]')" = $'256\tdev\ta' ] ||
    die "what was asked for is not there: $(shown Configuration)"
[ "$(shown Concurrency.ReservedConcurrentExecutions)" = 5 ] || die "nothing is reserved"
sed -i 's/one/another/' app.py
sed -i 's/"lambda_memory_size": 256/"lambda_memory_size": 512/' .chalice/config.json
"$CHALICE" deploy >/dev/null
[ "$(shown Configuration.MemorySize)" = 512 ] || die "the configuration is not changed"
[ "$(shown Configuration.CodeSha256)" != "$first" ] || die "the code is not changed"
! "$CHALICE" invoke --name greet 2>told || die "it runs without its runtime"
grep -q "lamina runtime install" told || die "$(cat told)"
"$CHALICE" delete >/dev/null
[ "$("$AWS" lambda list-functions --query 'length(Functions)')" = 0 ] || die "it is not deleted"
