# event: {}
def lambda_handler(event, context):
    left = context.get_remaining_time_in_millis()
    return {
        "name": context.function_name,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "arn": context.invoked_function_arn,
        "group": context.log_group_name,
        "id": len(context.aws_request_id),
        "identity": context.identity.cognito_identity_id,
        "client": context.client_context,
        "left": isinstance(left, int) and 0 < left <= 60_000,
    }
