"""The services: each measure domain decides its reports, the projection shows where the plan stands."""
