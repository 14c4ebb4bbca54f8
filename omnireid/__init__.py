"""OmniReID: people, pictures, tasks and judgement; any model may enter. It never imports a model."""
