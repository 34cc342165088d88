# event: {}
def lambda_handler(event):
    return 1
