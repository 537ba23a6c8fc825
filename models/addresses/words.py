"""Words that mean something in an address: what a token may be, whichever address it stands in.

Lower case, without dots. They are hints to the parser, not rules: training decides what each is worth.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLASSES: dict[str, frozenset[str]] = {
    "S": _words(  # states of the US, as the post writes them
        "al ak az ar ca co ct de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok or pa "
        "ri sc sd tn tx ut vt va wa wv wi wy dc pr"
    ),
    "N": _words(  # words of their names
        "alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho illinois "
        "indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri "
        "montana nebraska nevada hampshire jersey mexico york carolina dakota ohio oklahoma oregon pennsylvania island "
        "tennessee texas utah vermont virginia washington wisconsin wyoming columbia"
    ),
    "T": _words(  # kinds of street
        "st street ave avenue av rd road dr drive blvd boulevard ln lane ct court pl place way cir circle ter terrace terr "
        "pkwy parkway hwy highway sq square trl trail plaza loop run row route rt rte pike alley crescent close walk mews "
        "grove gardens gdns hill view crossing xing gali galli marg cswy causeway expressway expwy turnpike tpke freeway "
        "fwy bypass byp bend bnd branch bridge cove cv creek crest estates est fork glen green harbor isle junction jct "
        "key knoll lake landing manor meadow mill mount oaks path park point pt ridge rdg shore spring springs station "
        "sta summit trace trce valley vista well wells island cut cutoff spur blf bluff commons cmns cors corner corners "
        "hts heights hollow holw vlg village ctr center centre plz"
    ),
    "D": _words("n s e w ne nw se sw north south east west northeast northwest southeast southwest"),
    "U": _words(  # within a building, and at the post office
        "apt apartment suite ste unit floor fl room rm bldg bld blg bldgs building lot level dept flat # no box po bin "
        "hangar hngr trlr trailer space spc lobby basement bsmt front rear upper lower penthouse ph wing tower office ofc "
        "pmb msc mail stop mailstop ms lockbox drawer caller psc hc rr rural cmr"
    ),
    "O": _words("first second third fourth fifth sixth seventh eighth ninth tenth 1st 2nd 3rd"),
    "B": _words(  # a city's name begins so
        "st saint san santa los las fort ft mount mt new el la le lake port palm cape del des grand great little old big "
        "long oak rock cedar"
    ),
    "E": _words(  # and ends so
        "city beach springs heights park falls hills grove island lake rapids bluff bluffs creek valley village ville town "
        "bay rock ridge point"
    ),
    "I": _words(  # institutions
        "inc llc corp co company attn c/o bank center centre mall university hospital school church hotel inn store clinic "
        "dept of and the associates services group county courthouse library plaza tower building hall office"
    ),
    "C": _words(  # words of big cities' names
        "chicago york angeles houston phoenix philadelphia antonio diego dallas jose austin jacksonville columbus charlotte "
        "indianapolis francisco seattle denver washington boston nashville detroit oklahoma portland vegas memphis "
        "louisville baltimore milwaukee albuquerque tucson fresno sacramento mesa atlanta omaha raleigh miami oakland "
        "minneapolis tulsa tampa orleans wichita cleveland bakersfield aurora anaheim honolulu riverside lexington "
        "stockton louis paul cincinnati pittsburgh greensboro lincoln anchorage plano orlando irvine newark durham toledo "
        "wayne petersburg laredo buffalo madison lubbock chandler scottsdale glendale reno norfolk irving chesapeake "
        "gilbert hialeah garland fremont richmond boise rouge moines spokane tacoma fontana modesto rochester evanston"
    ),
}
"""The classes by the letter that stands for each in the parser's features."""

WRITTEN_OUT: dict[str, str] = {
    "st": "street", "ave": "avenue", "av": "avenue", "rd": "road", "dr": "drive", "blvd": "boulevard", "ln": "lane",
    "ct": "court", "pl": "place", "cir": "circle", "ter": "terrace", "terr": "terrace", "pkwy": "parkway",
    "hwy": "highway", "sq": "square", "trl": "trail", "rt": "route", "rte": "route", "xing": "crossing",
    "gdns": "gardens", "expwy": "expressway", "fwy": "freeway", "tpke": "turnpike", "pt": "point", "hts": "heights",
    "ctr": "center", "plz": "plaza", "galli": "gali",
    "n": "north", "s": "south", "e": "east", "w": "west",
    "ne": "northeast", "nw": "northwest", "se": "southeast", "sw": "southwest",
    "ft": "fort", "mt": "mount", "apt": "apartment", "ste": "suite", "fl": "floor", "rm": "room",
}  # fmt: skip
"""Abbreviations that are written out before streets and units are compared."""
