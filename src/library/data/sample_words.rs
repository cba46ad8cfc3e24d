//! The words of the built-in sample. Earlier entries of a list are drawn more often. Changing
//! anything here changes the sample's bytes, which a test pins.

/// Adjectives of praise for a part of a film.
#[rustfmt::skip] // words side by side
pub(super) const PRAISE: [&str; 48] = [
    "good", "great", "wonderful", "excellent", "strong", "beautiful", "convincing", "funny",
    "clever", "brilliant", "charming", "touching", "superb", "gripping", "moving", "memorable",
    "fresh", "perfect", "solid", "delightful", "fantastic", "honest", "sharp", "warm", "believable",
    "witty", "thoughtful", "powerful", "impressive", "stunning", "engaging", "subtle", "inspired",
    "elegant", "graceful", "magnificent", "absorbing", "tender", "hilarious", "dazzling",
    "refreshing", "heartfelt", "masterful", "vivid", "haunting", "exquisite", "riveting",
    "luminous",
];

/// Adjectives of blame for a part of a film.
#[rustfmt::skip] // words side by side
pub(super) const BLAME: [&str; 48] = [
    "bad", "boring", "terrible", "poor", "awful", "weak", "dull", "predictable", "stupid", "flat",
    "horrible", "silly", "lame", "wooden", "tedious", "messy", "forgettable", "clumsy", "lazy",
    "shallow", "cheap", "annoying", "ridiculous", "pointless", "bland", "painful", "confused",
    "lifeless", "sloppy", "tired", "unconvincing", "laughable", "dreadful", "pretentious", "stale",
    "muddled", "hollow", "grating", "amateurish", "embarrassing", "contrived", "dreary", "abysmal",
    "incoherent", "insipid", "soulless", "plodding", "charmless",
];

/// Parts of a film, all singular.
#[rustfmt::skip] // words side by side
pub(super) const THINGS: [&str; 36] = [
    "acting", "story", "plot", "script", "ending", "dialogue", "music", "direction", "camera work",
    "humour", "lead performance", "pacing", "supporting cast", "editing", "soundtrack",
    "opening scene", "second half", "final act", "romance", "villain", "writing", "scenery", "cast",
    "casting", "atmosphere", "middle part", "main character", "chemistry between the leads",
    "production design", "score", "twist", "dubbing", "car chase", "narration", "costume work",
    "last half hour",
];

/// Parts of a film that can be counted, for "a good …".
#[rustfmt::skip] // words side by side
pub(super) const PARTS: [&str; 18] = [
    "script", "story", "plot", "ending", "lead performance", "supporting cast", "soundtrack",
    "opening scene", "second half", "final act", "romance", "villain", "cast", "main character",
    "score", "twist", "car chase", "middle part",
];

/// Verbs of praise, of a film that did something to a viewer.
#[rustfmt::skip] // words side by side
pub(super) const LIKED: [&str; 12] = [
    "loved", "enjoyed", "liked", "admired", "adored", "was moved by", "was charmed by",
    "was impressed by", "laughed with", "cared about", "was gripped by", "could not resist",
];

/// Verbs of blame, of a film that did something to a viewer.
#[rustfmt::skip] // words side by side
pub(super) const DISLIKED: [&str; 12] = [
    "hated", "disliked", "was bored by", "was annoyed by", "could not stand", "was let down by",
    "was disappointed by", "cringed at", "yawned through", "gave up on", "rolled my eyes at",
    "winced at",
];

/// Strengthening or softening words in front of an adjective.
#[rustfmt::skip] // words side by side
pub(super) const DEGREE: [&str; 20] = [
    "really", "very", "quite", "so", "rather", "truly", "pretty", "simply", "surprisingly",
    "genuinely", "utterly", "fairly", "absolutely", "remarkably", "unusually", "thoroughly",
    "downright", "undeniably", "decidedly", "strangely",
];

#[rustfmt::skip] // words side by side
pub(super) const GENRES: [&str; 22] = [
    "comedy", "thriller", "drama", "horror film", "western", "romance", "war film", "mystery",
    "family film", "crime story", "science fiction film", "musical", "road movie", "heist film",
    "documentary", "ghost story", "period piece", "action film", "fantasy", "courtroom drama",
    "sports film", "spy film",
];

#[rustfmt::skip] // words side by side
pub(super) const PEOPLE: [&str; 24] = [
    "a retired detective", "a young teacher", "a stubborn twin", "a widowed farmer",
    "a street musician", "a small-town doctor", "an only son", "a lonely pianist",
    "a runaway bride", "an old sailor", "a failed boxer", "a shy librarian", "a baker's widow",
    "a stubborn journalist", "a pickpocket", "a taxi driver", "an ambitious lawyer",
    "an exchange student", "a retired astronaut", "a village priest", "an exiled prince",
    "a night nurse", "a forgotten painter", "a clockmaker",
];

#[rustfmt::skip] // words side by side
pub(super) const DEEDS: [&str; 24] = [
    "inherits an old hotel", "returns home after twenty years", "looks for a missing child",
    "plans one last robbery", "falls in love with a stranger", "finds a letter in the attic",
    "tries to save the local theatre", "gets lost in the mountains", "has to testify in court",
    "crosses the desert on foot", "opens a restaurant against all advice", "hides a secret",
    "wakes up without a memory", "drives across the country", "buys a haunted farm",
    "enters a dance contest", "uncovers a fraud", "adopts a wild horse",
    "is followed by a stranger", "must share a tiny flat", "loses everything in one night",
    "starts a pirate radio station", "trains for the big match", "is sent to a distant island",
];

#[rustfmt::skip] // words side by side
pub(super) const PLACES: [&str; 18] = [
    "in Lisbon", "in a snowed-in village", "in New York", "on a small island", "in post-war Vienna",
    "in the desert", "in a coastal town", "on a night train", "in rural Ireland", "in Tokyo",
    "near the border", "in a crumbling castle", "in the suburbs", "in Mexico City",
    "on a cargo ship", "in a mining town", "in the nineteen-seventies", "somewhere in Siberia",
];

#[rustfmt::skip] // words side by side
pub(super) const TITLE_FIRST: [&str; 20] = [
    "Glass", "Silent", "Golden", "Winter", "Paper", "Burning", "Hidden", "Crimson", "Second",
    "Broken", "Northern", "Midnight", "Hollow", "Distant", "Iron", "Velvet", "Seventh", "Drifting",
    "Copper", "Salt",
];

#[rustfmt::skip] // words side by side
pub(super) const TITLE_LAST: [&str; 20] = [
    "Harbour", "River", "Promise", "Letters", "Garden", "Station", "Hour", "Road", "Orchard",
    "Mirror", "Kingdom", "Season", "Bridge", "Lantern", "Echo", "Tide", "Cathedral", "Summer",
    "Bargain", "Witness",
];

#[rustfmt::skip] // words side by side
pub(super) const FIRST_NAMES: [&str; 20] = [
    "Anna", "Peter", "Maria", "James", "Elena", "Thomas", "Grace", "Victor", "Clara", "Daniel",
    "Ines", "Marcus", "Ruth", "Oscar", "Lena", "Hugo", "Nadia", "Samuel", "Irene", "Felix",
];

#[rustfmt::skip] // words side by side
pub(super) const LAST_NAMES: [&str; 20] = [
    "Keller", "Morgan", "Rossi", "Bennett", "Novak", "Hale", "Lindqvist", "Moreau", "Castell",
    "Byrne", "Okafor", "Tanaka", "Whitlock", "Duarte", "Fischer", "Marlowe", "Petrov", "Quinn",
    "Sorel", "Vance",
];

#[rustfmt::skip] // words side by side
pub(super) const RELATIVES: [&str; 10] = [
    "wife", "husband", "sister", "brother", "mother", "father", "neighbour", "daughter", "flatmate",
    "uncle",
];

#[rustfmt::skip] // words side by side
pub(super) const NUMBERS: [&str; 8] = [
    "six", "eight", "seven", "twelve", "nine", "five", "eleven", "thirteen",
];

#[rustfmt::skip] // words side by side
pub(super) const MINUTES: [&str; 8] = [
    "ninety", "a hundred", "eighty", "a hundred and ten", "a hundred and twenty", "eighty-five",
    "ninety-five", "a hundred and forty",
];
