"""The OmniReID benchmark: people, images, tasks and evaluation of any model. It never imports a model."""
