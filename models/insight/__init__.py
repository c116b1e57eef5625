"""Why a restorer gave what it gave: attribution, receptive field, activations."""
