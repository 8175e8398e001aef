"""What a user of each rival would write to serve the model, in the way that its own documentation recommends.

These files run in the rival's environment, never in ours. They read MODEL_FILE, PORT, GRPC_PORT and VARIANT.
"""
