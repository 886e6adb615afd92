"""Token migration and token gathering."""
