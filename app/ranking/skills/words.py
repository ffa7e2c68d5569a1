"""The words that identify levels, labels and pairs in skills texts."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.casefold().split())


LEVELS = _words("""
    advanced intermediate beginner basic basics expert proficient proficiency fluent
    fluently native novice elementary conversational bilingual upper lower good
    excellent strong solid familiar familiarity competent average medium low high
    required preferred desired desirable optional mandatory essential plus bonus must
    nice fließend verhandlungssicher muttersprache grundkenntnisse fortgeschritten
    anfänger courant avancé débutant intermédiaire maternelle bilingue avanzado básico
    intermedio nativo fluido avançado fluente avanzato madrelingua
    продвинутый начальный средний базовый свободно 精通 熟练 熟悉 了解 上級 中級 初級
""")
# Ambiguous words: a level, a skill or a note.
VAGUE_LEVELS = _words("""
    basic basics native plus bonus must nice good strong solid high low medium average
    excellent familiar upper lower essential elementary required
""")
BESIDE_LEVELS = _words("""
    a an at least about approx approximately more than over and to or in of with the
    very level levels niveau nivel livello stufe experience experienced exp knowledge
    working user skill skills hands on depth professional limited full speaker speaking
    tongue mother language is not have highly strongly min minimum written spoken
    oral reading writing sehr très muy
""")
TIME_UNITS = _words("""
    year years yr yrs yoe month months mos jahr jahre jahren ans année années años anni
    anos лет год года 年
""")

# Labels, also as headings without a colon.
HEADINGS = _words("""
    skill skills skillset skillsets competency competencies competence competences
    requirement requirements qualification qualifications proficiencies expertise
    compétences compétence kenntnisse fähigkeiten fachkenntnisse kompetenzen habilidades
    competencias competências competenze vaardigheden umiejętności навыки умения 技能
    スキル 专业技能
""")
LABELS = HEADINGS | _words("""
    tool tools technology technologies language languages framework frameworks library
    libraries database databases platform platforms software stack system systems os
    experience knowledge abilities certifications certificates strengths keywords tags
    methodologies ides editors packages have required preferred desired langues sprachen
    idiomas lingue outils logiciels werkzeuge herramientas other
""")
BESIDE_LABELS = LABELS | _words("""
    technical tech hard soft key core main primary secondary top professional
    additional programming scripting operating markup query spoken foreign web cloud it
    computer development dev data general basic essential mandatory minimum ideal
    relevant specific special specialist personal interpersonal transferable must nice
    to with of in for and the my our your used needed known familiar good techniques
    professionnelles linguistiques informatiques technische technischen técnicas
    tecniche ключевые профессиональные
""")

# Pairs of words that are one term.
PAIRS = _words("""
    r/d q/a m/a p/l
    arts/crafts backup/recovery backup/restore bed/breakfast billing/collections
    black/white brick/mortar build/release certification/accreditation checks/balances
    coaching/mentoring command/control compensation/benefits cost/benefit
    credit/collection credit/collections cut/paste cut/sew design/technology
    diversity/inclusion drag/drop equality/diversity equity/inclusion
    film/television finance/accounting fire/rescue fire/safety fit/finish food/beverage
    food/beverages food/drink fruit/vegetables gap/fit gas/oil
    goods/services governance/compliance governance/risk hair/beauty hair/makeup
    hazard/operability health/hygiene health/safety health/wellbeing
    health/wellness heating/cooling heating/ventilation hygiene/safety identity/access
    import/export inbound/outbound input/output inspection/testing labor/delivery
    law/order learning/development legal/compliance lock/key lost/found
    maintenance/repair media/entertainment mergers/acquisition mergers/acquisitions
    monitoring/evaluation nuts/bolts obstetrics/gynecology obstetrics/gynaecology
    oil/gas organization/methods organisation/methods parks/recreation pick/pack
    pick/place pipe/drape plug/play policies/procedures policy/procedure
    policy/procedures prevention/control probability/statistics process/instrumentation
    profit/loss property/casualty pros/cons quality/safety question/answer
    questions/answers record/replay recruiting/staffing recruitment/selection
    repair/maintenance research/development rigging/lifting risk/compliance risk/control
    risk/controls rock/roll room/board safety/health safety/security sales/distribution
    salt/pepper sanitation/hygiene science/technology search/rescue search/seizure
    shipping/receiving slips/falls speech/language standards/practices start/stop
    storage/retrieval strength/conditioning strengths/weaknesses supply/demand
    terms/conditions test/evaluation theory/practice time/attendance time/labor
    time/labour time/materials time/material time/motion tool/die track/field
    track/trace training/development travel/expense travel/expenses travel/tourism
    trial/error trust/safety law/government computers/electronics
    economics/accounting sales/marketing marketing/sales medicine/dentistry
    therapy/counseling communications/media philosophy/theology operation/control
    validation/verification verification/validation
    wage/salary warp/weft water/sanitation water/sewer wear/tear wine/spirits
    bang/olufsen black/decker dun/bradstreet ernst/young johnson/johnson procter/gamble
    rohde/schwarz smith/nephew standard/poor's
""")
# After two different words, such a word belongs to both: "data and process analysis".
SHARED_HEADS = _words("""
    ability abilities applications background concepts engineer engineers environment
    environments equipment experience information issues knowledge manager methodologies
    methodology methods operations practices principles procedures processes products
    projects protocols requirements rules services skill skills software solution
    solutions standards strategies support systems team techniques technician
    technicians technologies theory tools work workers
""")
ADJECTIVES = _words("""
    strong excellent good solid basic advanced effective outstanding proven great
    including using develop develops managing troubleshoot troubleshooting various hard
    written verbal oral internal external senior junior lead
""")
