//! The sentence patterns of the built-in sample. Changing anything here changes the sample's bytes,
//! which a test pins.
//!
//! `{…}` names a list of words. `{good}` and `{bad}` are adjectives of the sentence's own and of the
//! opposite opinion, so "was anything but {bad}" works for praise and for blame.

/// Sentences without an opinion.
pub(super) const NEUTRAL: [&str; 26] = [
    "{people} {deed} {place}.",
    "The film tells how {people} {deed}.",
    "{title} is {a} {genre} about {people}, set {place}.",
    "The story takes place {place}.",
    "{lead} plays the main part, {name} the neighbour.",
    "It was directed by {director}, whose last film was {a} {other}.",
    "I saw it on a Sunday afternoon with my {relative}.",
    "I rented this one because of {lead}.",
    "The whole thing runs for about {minutes} minutes.",
    "Then {people} {deed}, and everything changes.",
    "It is based on a novel that I have not read.",
    "My {relative} picked it, so I sat down with an open mind.",
    "There are {number} songs in it, if I counted right.",
    "Think of {a} {other} {place} and you are halfway there.",
    "{lead} had a small part in {rival} as well.",
    "As far as I know it was shot {place}.",
    "We learn early on that {people} {deed}.",
    "I do not want to give away what happens next.",
    "This was my first film by {director}.",
    "It was on television late last night.",
    "People keep comparing it with {rival}.",
    "{director} also wrote the {thing}, according to the credits.",
    "We were {number} people at the screening.",
    "{lead} is {people} who {deed}.",
    "Half of it happens {place}, the other half {place}.",
    "It starts when {people} {deed}.",
];

/// Sentences with an opinion, in words that turn with it.
pub(super) const DIRECT: [&str; 24] = [
    "The {thing} was {good}.",
    "The {thing} was {degree} {good}.",
    "The {thing} is {good} and {good}.",
    "I {liked} the {thing}.",
    "I {liked} the {degree} {good} {thing}.",
    "{lead} is {degree} {good} here.",
    "I found the {thing} {good}, and the {thing} even more so.",
    "The {thing} is {good} from start to finish.",
    "What {a} {good} {genre}!",
    "For {a} {genre} this is {degree} {good}.",
    "You can tell that {lead} was {good} in every scene.",
    "The {thing} by {name} is {degree} {good}.",
    "Above all, the {thing} is {good}.",
    "{a} {good} {part} and {a} {good} {part}.",
    "{lead} gives {a} {good} performance.",
    "Everybody in my row seemed to find the {thing} {good}.",
    "{director} has made {a} {good} film.",
    "My {relative} {liked} the {thing}, and so did I.",
    "The {thing}: {good}. The {thing}: {good}.",
    "I have rarely seen such {a} {good} {part}.",
    "{title} is {degree} {good}, and the {thing} is the reason.",
    "It is {good}, it is {good}, and the {thing} is {good} too.",
    "Let me start with the {thing}, which is {degree} {good}.",
    "The {thing} deserves to be called {good}.",
];

/// Sentences whose words say the opposite of what they mean.
pub(super) const NEGATED: [&str; 12] = [
    "The {thing} was not {bad} at all.",
    "The {thing} was never {bad}.",
    "The {thing} is anything but {bad}.",
    "I would not call the {thing} {bad}.",
    "There is nothing {bad} about the {thing}.",
    "{lead} is not {bad}, whatever the critics say.",
    "The {thing} isn't {bad} for a second.",
    "Nobody can say that the {thing} was {bad}.",
    "I expected {a} {bad} {genre}, and that is not what I got.",
    "It is hardly {bad}, least of all the {thing}.",
    "As far as the {thing} goes, it is far from {bad}.",
    "Calling {title} {bad} would be wrong.",
];

/// Sentences that concede something first; their second half carries the opinion.
pub(super) const CONCEDED: [&str; 10] = [
    "Although the {thing} was {bad}, the {thing} was {degree} {good}.",
    "The {thing} may be {bad}, but the {thing} is {good}.",
    "Yes, the {thing} is {bad}; the {thing}, however, is {degree} {good}.",
    "My {relative} thought it was {bad}, I thought it was {good}.",
    "The trailer looked {bad}, the film is {good}.",
    "Compared with {rival}, which was {bad}, this is {good}.",
    "At first it seems {bad}, then it becomes {degree} {good}.",
    "The critics called it {bad}, and yet the {thing} is {good}.",
    "Apart from the {bad} {thing}, everything here is {good}.",
    "I had read that the {thing} was {bad}; I found it {degree} {good}.",
];

/// Verdicts of praise.
pub(super) const PRAISE_VERDICTS: [&str; 14] = [
    "I recommend it to everyone.",
    "I would watch it again tomorrow.",
    "Go and see it.",
    "One of the best films of the year.",
    "It stayed with me for days.",
    "Worth every minute.",
    "I left the cinema with a smile.",
    "A film for a long winter evening.",
    "A small treasure.",
    "Do not miss it.",
    "I have already bought the disc.",
    "Even my {relative} was won over, and that is rare.",
    "I did not look at my watch once.",
    "More films like this, please.",
];

/// Verdicts of blame.
pub(super) const BLAME_VERDICTS: [&str; 14] = [
    "I cannot recommend it to anyone.",
    "I would not watch it again for money.",
    "Stay away.",
    "One of the worst films of the year.",
    "I had forgotten it the next day.",
    "A waste of {minutes} minutes.",
    "I left the cinema before the end.",
    "I want my money back.",
    "A missed chance.",
    "Skip it and read a book.",
    "The disc went straight into the bin.",
    "Even my {relative} fell asleep.",
    "I kept looking at my watch.",
    "No more films like this, please.",
];

/// Verdicts that say little.
pub(super) const SHRUGS: [&str; 8] = [
    "Make of that what you will.",
    "Judge for yourself.",
    "That is all I have to say about {title}.",
    "It is what it is.",
    "Opinions will differ.",
    "Other people at the screening saw it differently.",
    "I am curious what {name} does next.",
    "So much for {title}.",
];
