"""Word lists of the bundled review grammar.

The lists were written by hand for this course, with words that reviewers of films use (nearly all of them occur
in SST-2). Sentiment words come in two strengths, because an intensifier, a negation and a plain word must be
comparable: "not terrible" is weaker praise than "good". Words whose polarity depends on the speaker ("predictable"
of a villain, "unpredictable", "weird") are left out or used as neutral words only.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Adjectives that say something about a film. Strong ones count double.
GOOD_ADJECTIVES = _words("""
    good nice fine pleasant enjoyable likable amusing engaging charming sweet funny clever smart witty fresh
    warm touching moving tender gentle appealing solid decent watchable interesting intriguing thoughtful
    sensitive honest sincere heartfelt delicate graceful elegant stylish inventive imaginative original
    creative lively energetic playful spirited vibrant vivid colorful sunny refreshing satisfying rewarding
    worthwhile worthy impressive accomplished assured confident polished well-made well-acted well-written
    well-crafted entertaining fun delightful endearing adorable cute admirable insightful intelligent
    perceptive subtle nuanced observant believable convincing credible authentic compelling absorbing
    involving fascinating provocative thought-provoking powerful potent poignant affecting uplifting inspiring
    inspirational hopeful heartwarming humane compassionate generous joyous joyful atmospheric poetic lyrical
    evocative haunting resonant memorable timeless rich intricate layered profound wise mature sophisticated
    crisp sharp taut brisk breezy suspenseful exciting thrilling rousing stirring dynamic daring bold brave
    fearless courageous uncompromising eloquent articulate expressive luminous radiant lush sumptuous majestic
    deft nimble fluid seamless coherent focused balanced restrained understated charismatic gifted talented
    superior valuable effective successful rollicking wry infectious buoyant bracing invigorating magical
    soulful comforting disarming enlightening hip handsome respectable cheery loveable likeable beguiling
    zippy snappy scenic exuberant
    """)
GREAT_ADJECTIVES = _words("""
    great brilliant excellent wonderful superb terrific magnificent marvelous fantastic outstanding
    extraordinary exceptional masterful stunning dazzling exhilarating hilarious breathtaking unforgettable
    spectacular splendid glorious triumphant exquisite perfect flawless astonishing remarkable phenomenal
    sublime captivating mesmerizing enthralling riveting gripping spellbinding enchanting irresistible
    ravishing sensational amazing beautiful gorgeous electrifying first-rate top-notch impeccable
    """)
POOR_ADJECTIVES = _words("""
    bad dull boring bland flat tedious tiresome dreary drab stale trite banal predictable formulaic derivative
    unoriginal uninspired unimaginative lifeless listless lackluster mediocre forgettable disposable generic
    routine clumsy sloppy awkward stilted wooden leaden heavy-handed ham-fisted contrived forced artificial
    phony fake hollow empty shallow superficial thin flimsy silly stupid dumb foolish senseless pointless
    aimless meandering rambling muddled murky confusing confused messy chaotic choppy disjointed uneven
    unfocused unconvincing implausible weak feeble limp lame tepid bloodless soulless charmless humorless
    joyless witless unfunny graceless tasteless crude crass vulgar sleazy ugly dismal sour smug pretentious
    self-indulgent pompous preachy condescending maudlin mawkish sappy saccharine cloying melodramatic
    overwrought overblown overlong bloated excessive repetitive monotonous redundant interminable exhausting
    grating irritating annoying frustrating infuriating maddening disappointing unsatisfying unfulfilling
    unrewarding unpleasant distasteful nasty mean-spirited manipulative exploitative cheap shoddy amateurish
    second-rate hackneyed cliched recycled threadbare slapdash rushed half-baked underdeveloped inconsistent
    inconsequential trivial unnecessary useless futile ineffective inadequate flawed botched misguided
    misconceived ill-conceived vapid insipid vacuous inert static sluggish plodding ponderous turgid stodgy
    lumbering unappealing unlikable unsympathetic repellent embarrassing cheesy corny hokey simplistic creaky
    strained overcooked incongruous dim-witted undistinguished anemic numbing
    """)
AWFUL_ADJECTIVES = _words("""
    awful terrible horrible dreadful atrocious abysmal appalling disastrous pathetic worthless unbearable
    intolerable insufferable excruciating unwatchable disgusting repulsive revolting miserable wretched
    hideous idiotic moronic laughable ridiculous ludicrous preposterous inept incompetent incoherent
    incomprehensible lousy rotten vile offensive insulting obnoxious inane brainless mindless abhorrent
    unspeakable unendurable dire
    """)

# Qualities a film has or lacks (mass nouns) and kinds of film that are a verdict by themselves (count nouns).
GOOD_QUALITIES = _words("""
    charm wit warmth humor intelligence imagination originality energy grace beauty depth subtlety insight
    passion suspense excitement conviction honesty sincerity integrity compassion tenderness sensitivity
    elegance flair verve panache vitality freshness creativity inspiration joy pleasure magic poetry clarity
    coherence focus credibility authenticity substance resonance poignancy momentum chemistry charisma talent
    skill finesse craftsmanship artistry brilliance sophistication maturity wisdom restraint nuance exuberance
    enthusiasm humanity dignity courage audacity
    """)
BAD_QUALITIES = _words("""
    boredom tedium nonsense stupidity silliness confusion incoherence clumsiness pretension self-indulgence
    sentimentality schmaltz vulgarity cynicism arrogance vanity monotony repetition predictability banality
    mediocrity emptiness superficiality contrivance excess padding filler gibberish drivel junk trash rubbish
    hokum treacle blandness dullness awkwardness incompetence laziness narcissism hypocrisy
    """)
GOOD_VERDICTS = _words("""
    masterpiece triumph gem treasure delight winner marvel treat success knockout charmer crowd-pleaser
    achievement revelation feast gift wonder joy
    """)
BAD_VERDICTS = _words("""
    mess disaster failure bore dud flop mistake disappointment embarrassment travesty turkey stinker chore
    disgrace nightmare letdown misfire
    """)

# Verbs, as infinitives: what a film does to its audience, and how it fares.
GOOD_TRANSITIVE = _words("""
    delight charm move amuse entertain captivate engage fascinate enthrall dazzle thrill impress inspire touch
    please satisfy reward mesmerize excite intrigue uplift seduce soothe
    """)
BAD_TRANSITIVE = _words("""
    bore annoy disappoint irritate insult offend frustrate exhaust confuse alienate disgust infuriate torture
    sicken numb repel baffle tire
    """)
GOOD_INTRANSITIVE = _words("shine soar succeed triumph work resonate flourish blossom glow sing sparkle")
BAD_INTRANSITIVE = _words("""
    drag fail falter stumble sink fizzle collapse sag ramble plod stall flop limp flounder sputter unravel
    """)

INTENSIFIERS = _words("""
    very really truly deeply utterly absolutely thoroughly extremely completely totally remarkably genuinely
    exceptionally immensely hugely highly decidedly enormously downright profoundly consistently undeniably
    especially particularly exceedingly intensely wildly insanely unusually
    """)
DOWNTONERS = _words("""
    slightly somewhat fairly mildly moderately vaguely marginally partly relatively occasionally
    """)

# What a review is about: whole works, parts of a work, people, and *other* works that are mentioned in passing.
WORKS = _words("""
    film movie picture flick feature production drama comedy thriller romance western musical farce satire
    adaptation biopic fable fantasy mystery adventure epic tale
    """)
ASPECTS = _words("""
    plot story script screenplay dialogue acting direction cinematography photography camerawork editing
    pacing music score soundtrack animation ending finale opening climax premise concept cast ensemble
    storyline narrative characterization performance choreography scenery lighting narration banter setting
    """)
PLURAL_ASPECTS = _words("""
    characters performances actors scenes jokes gags images visuals effects songs lines stunts sequences
    chases subplots costumes sets locations leads villains heroes dances flashbacks
    """)
OTHER_WORKS = _words("""
    sequel remake trailer novel book play cartoon series episode predecessor version show pilot comic memoir
    sketch opera poem album documentary biography diary essay miniseries installment
    """)
PEOPLE = _words("""
    director writer actor actress star producer screenwriter filmmaker composer editor novelist comedian
    cinematographer photographer playwright singer
    """)
SPEAKERS = _words("""
    critics reviewers friends colleagues students fans teenagers parents children grandparents journalists
    strangers moviegoers viewers adults kids families tourists adolescents aficionados purists insiders
    teachers
    """)
AUDIENCES = _words("""
    audience viewer crowd moviegoer spectator family fan newcomer adult teenager buff
    """)

# Neutral colour: nothing below may carry a verdict.
NEUTRAL_ADJECTIVES = _words("""
    french italian japanese korean american british german russian indian iranian chinese spanish irish
    mexican swedish australian canadian danish animated historical political urban rural suburban domestic
    contemporary modern independent low-budget black-and-white silent digital foreign local holiday military
    medical legal scientific literary theatrical autobiographical biographical three-hour 90-minute latest
    second third new old recent long short live-action subtitled portuguese argentine norwegian european
    latin austrian vietnamese cuban feature-length half-hour 19th-century small-town big-screen working-class
    88-minute 1970s 1960s middle-class
    """)
HEROES = _words("""
    scientist singer teenager wife husband mother father son daughter sister brother uncle boy girl woman man
    cop detective sailor cook spy pilot doctor king queen ghost vampire alien dog teacher student poet pianist
    widow gangster prince princess carpenter librarian journalist surgeon wrestler magician clown baker
    astronaut hunter killer stranger monster werewolf warrior knight bear elephant cat spider whale dragon
    witch wizard angel president judge driver tailor dentist athlete champion violinist ballerina model
    captain lieutenant veteran rebel agent clerk butler bride professor secretary runner composer photographer
    novelist traveler
    """)
PLACES = _words("""
    paris london brooklyn berlin chicago boston california shanghai manhattan hollywood africa asia europe
    england ireland italy spain germany vietnam sydney seattle philadelphia washington venice mexico cuba
    canada australia america korea japan india france china
    """)
SITES = _words("""
    prison hospital school desert hotel castle library factory submarine circus theater garage courtroom
    harbor forest kitchen barbershop church temple station camp college university office mall park garden
    jungle laboratory diner studio bar city town house
    """)
SITES_ON = _words("farm island beach river lake ocean mountain ship train boat")
DEEDS = _words("""
    follows depicts portrays explores chronicles examines describes sketches traces recalls presents imagines
    recreates
    """)
OCCASIONS = tuple(
    """on a winter evening|on a friday night|at the festival|after the credits|in the second half
in the first hour|on a small screen|at a matinee|during the summer|in the last reel|on a plane
at midnight|in a crowded theater|with the subtitles on|on its opening night|over two hours|in the third act
for most of its length|after a week|on a second viewing|in the middle|in the early scenes|from a distance
in the director 's cut""".replace("\n", "|").split("|")
)

# Function words that carry the structure. They are not counted as content words.
FUNCTION_WORDS = frozenset(
    _words("""
    a an the this that it its i my of in on at to with without from after before over about is are was be do does has
    have can would not n't never no nobody neither nor hardly but and or although though despite even only also by far
    anything which there than , . 's out up any who what for into
    """)
)


def content_words() -> set[str]:
    """All content words of the grammar: nouns, verbs, adjectives and adverbs of degree, function words left out."""
    lists = [
        value for name, value in globals().items() if name.isupper() and isinstance(value, tuple) and value
    ]
    words = {word for entries in lists for entry in entries for word in entry.split()}
    return words - FUNCTION_WORDS
