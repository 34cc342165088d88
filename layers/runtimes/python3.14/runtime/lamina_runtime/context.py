"""The context object of AWS Lambda."""

import json
import sys
import time


class CognitoIdentity:
    def __init__(self):
        self.cognito_identity_id = None
        self.cognito_identity_pool_id = None

    def __repr__(self):
        return (
            f"CognitoIdentity([cognito_identity_id={self.cognito_identity_id},"
            f"cognito_identity_pool_id={self.cognito_identity_pool_id}])"
        )


class Client:
    _NAMES = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, members):
        for name in self._NAMES:
            setattr(self, name, members.get(name))

    def __repr__(self):
        return "Client([" + ",".join(f"{name}={getattr(self, name)}" for name in self._NAMES) + "])"


class ClientContext:
    def __init__(self, members):
        client = members.get("client")
        self.custom = members.get("custom")
        self.env = members.get("env")
        self.client = Client(client) if client is not None else None

    def __repr__(self):
        return f"ClientContext([custom={self.custom},env={self.env},client={self.client}])"


class LambdaContext:
    """Context of one invocation."""

    def __init__(self, facts):
        self.aws_request_id = facts.aws_request_id
        self.log_group_name = facts.log_group_name
        self.log_stream_name = facts.log_stream_name
        self.function_name = facts.function_name
        self.memory_limit_in_mb = str(facts.memory_limit_mib)
        self.function_version = facts.function_version
        self.invoked_function_arn = facts.invoked_function_arn
        self.tenant_id = facts.tenant_id
        self.client_context = _client_context(facts.client_context)
        self.identity = CognitoIdentity()
        if facts.identity is not None:
            self.identity.cognito_identity_id = facts.identity.identity_id
            self.identity.cognito_identity_pool_id = facts.identity.identity_pool_id
        self._epoch_deadline_time_in_ms = facts.deadline_ms

    def get_remaining_time_in_millis(self):
        left = self._epoch_deadline_time_in_ms - int(time.time() * 1000)
        return max(left, 0)

    def log(self, msg):
        sys.stdout.write(str(msg))

    def __repr__(self):
        names = (
            "aws_request_id log_group_name log_stream_name function_name memory_limit_in_mb function_version "
            "invoked_function_arn client_context identity tenant_id"
        )
        return "LambdaContext([" + ",".join(f"{name}={getattr(self, name)}" for name in names.split()) + "])"


def _client_context(document):
    if not document:
        return None
    members = json.loads(document)
    return ClientContext(members) if isinstance(members, dict) else None
