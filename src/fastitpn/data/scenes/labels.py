"""Which glyph belongs to which class, by the subcategories and short names of the emoji list."""

CLASSES = {
    "mammal": ("animal-mammal",),
    "produce": ("food-fruit", "food-vegetable"),
    "building": ("place-building", "place-religious"),
    "plant": ("plant-flower", "plant-other"),
    "tool": ("tool", "scissors", "broom", "plunger", "razor", "hocho", "lower_left_paintbrush", "mag"),
    "device": ("computer", "phone", "light & video"),
    "vehicle": ("transport-ground", "transport-air", "transport-water"),
    "bird": ("animal-bird",),
    "clothing": ("clothing",),
    "dish": ("food-prepared", "food-asian", "food-sweet"),
}
"""Class -> subcategories and single glyphs. A data set of K classes has the first K."""

OTHER = (
    *("animal-bug", "animal-marine", "animal-reptile", "drink", "dishware", "sky & weather", "award-medal", "sport"),
    *("game", "arts & crafts", "music", "musical-instrument", "book-paper", "money", "mail", "writing", "office"),
    *("lock", "science", "medical", "household", "other-object", "event", "time", "sound", "transport-sign", "heart"),
    *("place-other", "place-geographic", "person", "person-role", "person-activity", "person-fantasy", "person-sport"),
    *("face-smiling", "face-costume", "face-hat", "body-parts", "hand-prop"),
)
"""Subcategories that belong to no class: things beside the point, and more variety for pre-training."""

# fmt: off
_NOT_WHAT_IT_SAYS = {
    "feet", "pig_nose",  # mammal
    "busstop", "motorway", "railway_track", "oil_drum", "fuelpump", "wheel", "rotating_light", "traffic_light",
    "vertical_traffic_light", "octagonal_sign", "construction", "anchor", "ring_buoy", "seat", "parachute", "station",
    "manual_wheelchair", "motorized_wheelchair", "skateboard", "roller_skate",  # vehicle
    "bricks", "rock", "wood", "building_construction", "statue_of_liberty", "kaaba",  # building
    "crossed_swords", "dagger_knife", "bomb", "boomerang", "bow_and_arrow", "shield", "scales", "probing_cane",
    "link", "broken_chain", "chains",  # tool
    "battery", "low_battery", "electric_plug", "film_frames", "candle", "diya_lamp",  # device
    "white_flower", "empty_nest", "nest_with_eggs",  # plant
    "folding_hand_fan", "purse", "handbag", "pouch", "shopping_bags", "school_satchel", "hair_pick", "prayer_beads",
    "lipstick", "ring", "gem",  # clothing
    "butter", "salt", "canned_food",  # dish
    "feather", "wing", "hatching_chick",  # bird
    "martial_arts_uniform", "running_shirt_with_sash", "ice_skate", "ski", "boxing_glove", "diving_mask",  # clothing
}
_TWINS = {  # of a glyph that stays; in the other split they would be a leak
    "police_car", "oncoming_police_car", "motor_boat", "ferry", "airplane_arriving", "green_apple", "ballet_shoes",
    "wedding", "derelict_house_building", "ice_cream", "dvd", "mag_right",
}
# fmt: on


def label_glyph(name: str, subcategory: str) -> str | None:
    """The class of a glyph, "other", or None for one that is not used."""
    if name in _NOT_WHAT_IT_SAYS | _TWINS:
        return None
    for label, members in CLASSES.items():
        if name in members:
            return label
    for label, members in (*CLASSES.items(), ("other", OTHER)):
        if subcategory in members:
            return label
    return None
