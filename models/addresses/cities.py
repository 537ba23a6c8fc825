"""Cities of the US by name, and some beyond: where a known one begins and ends in an address.

A hint to the parser like the words of `models.addresses.words`, for a city's name is mostly no word that only cities have. Lower
case, without dots.
"""

from collections.abc import Sequence

_NAMES = """
aberdeen, abilene, addison, adelanto, agoura hills, aiken, akron, alameda, alamogordo, albany, albuquerque,
alburnett, alexandria, algonquin, alhambra, aliso viejo, allen, allentown, alpharetta, alsip, altamonte springs,
alton, altoona, amarillo, american fork, ames, amherst, anacortes, anaheim, anchorage, anderson, andover, ankeny,
ann arbor, annapolis, antioch, apache junction, apple valley, appleton, arcadia, arcata, ardmore, arlington,
arlington heights, arroyo grande, artesia, arvada, ashburn, asheville, ashland, aspen, astoria, atascadero, athens,
atlanta, atlantic city, auburn, auburn hills, augusta, aurora, austell, austin, aventura, avondale, azusa,
bakersfield, bala cynwyd, baldwin park, ballwin, baltimore, bangor, banning, barre, barrington, barstow,
bartlesville, bartlett, batavia, baton rouge, battle creek, bay city, bayamon, bayonne, baytown, beachwood,
beaumont, beavercreek, beaverton, bedford, bell gardens, belleville, bellevue, bellflower, bellingham, bellwood,
belmont, beloit, belton, bend, benicia, bennington, bensenville, benton, bentonville, berkeley, berwyn, bethesda,
bethlehem, bettendorf, beverly hills, biddeford, big bear lake, billings, biloxi, binghamton, birmingham, bismarck,
bixby, blacksburg, blaine, bloomfield, bloomfield hills, bloomfld tw, bloomingdale, bloomington, blue ash, blue
bell, blue island, blue springs, blythe, boca raton, boise, bolingbrook, bonita springs, bossier city, boston,
bothell, boulder, boulder city, bountiful, bourbonnais, bowie, bowling green, boynton beach, bozeman, bradenton,
braintree, branson, brattleboro, brawley, brea, breckenridge, bremerton, brentwood, bridgeport, bridgeton,
bridgeview, brighton, bristol, brockton, broken arrow, bronx, brookfield, brookings, brookline, brooklyn, brooklyn
center, brooklyn park, broomfield, brownsville, brunswick, bryan, buckeye, buena park, buffalo, buffalo grove,
bullhead city, burbank, burien, burleson, burlingame, burlington, burnsville, burr ridge, butte, cadiz, caguas,
calabasas, caldwell, calexico, calgary, calumet city, camarillo, cambridge, camden, campbell, candelaria, canoga
park, canon city, canton, cape coral, cape girardeau, carbondale, carefree, carlsbad, carmel, carol stream,
carolina, carpentersville, carpinteria, carrollton, carson, carson city, cary, casa grande, casper, cassville,
castle rock, cathedral city, cave creek, cedar city, cedar falls, cedar hill, cedar park, cedar rapids, centennial,
ceres, cerritos, champaign, chandler, chantilly, chapel hill, charles town, charleston, charlotte, charlottesville,
chatsworth, chattanooga, cherry hill, chesapeake, chester, chesterfield, chevy chase, cheyenne, chicago, chicago
heights, chico, chicopee, chino, chino hills, chula vista, cicero, cincinnati, citrus heights, city of industry,
clackamas, clancy, claremont, clarksville, clayton, clearfield, clearwater, cleveland, clifton, clinton, clovis,
coachella, coconut creek, cody, coeur d alene, coeur d'alene, college park, college station, collierville,
collinsville, colorado springs, colton, columbia, columbus, commerce city, compton, concord, conroe, conshohocken,
conway, conyers, cookeville, coon rapids, coos bay, coppell, coral gables, coral springs, coralville, corona,
coronado, corpus christi, corsicana, corte madera, corvallis, costa mesa, cottage grove, cottonwood heights, council
bluffs, country club hills, covina, covington, cranston, creve coeur, crown point, crystal lake, cudahy, culver
city, cupertino, cuyahoga falls, cypress, dallas, daly city, dana point, danbury, danville, darien, davenport,
davie, davis, dayton, daytona beach, deale, dearborn, dearborn heights, decatur, deerfield, deerfield beach, dekalb,
del city, del mar, del rio, delano, delray beach, deltona, deming, denton, denver, derby, derry, des moines, des
plaines, desoto, detroit, diamond bar, dickinson, dinuba, dixon, dodge city, doral, dothan, douglasville, dover,
downers grove, downey, doylestown, draper, duarte, dublin, dubuque, duluth, duncan, duncanville, dunedin, dunwoody,
durango, durham, eagan, eagle, eagle pass, earth city, east greenwich, east hanover, east lansing, east orange, east
providence, east rutherford, east saint louis, east st louis, eau claire, eden prairie, edgewater, edina, edinburg,
edison, edmond, edmonds, edwardsville, el cajon, el campo, el centro, el cerrito, el mirage, el monte, el paso, el
segundo, elgin, elizabeth, elizabethtown, elk grove, elk grove village, elk grove vlg, elkhart, elkins park, elko,
ellensburg, ellicott city, ellisville, elmhurst, elmira, elmwood park, ely, elyria, emeryville, emporia, encinitas,
encino, englewood, enid, erie, erlanger, escanaba, escondido, espanola, essex junction, euclid, eugene, euless,
eureka, evans, evanston, evansville, everett, evergreen park, exton, fairbanks, fairborn, fairfax, fairfield, fall
river, fallbrook, falls church, fargo, farmers branch, farmington, farmington hills, fayetteville, federal way,
fenton, ferguson, fernley, fillmore, findlay, fishers, flagstaff, flint, florence, florham park, florissant,
flossmoor, flower mound, flushing, folsom, fond du lac, fontana, forest grove, forest park, fort collins, fort
dodge, fort lauderdale, fort lee, fort myers, fort smith, fort wayne, fort worth, fortuna, foster city, fountain,
fountain hills, fountain valley, framingham, frankfort, franklin, franklin park, frederick, fredericksburg,
freeport, fremont, fresno, fridley, frisco, fullerton, gadsden, gahanna, gainesville, gaithersburg, galesburg,
gallatin, gallup, galt, galveston, garden city, garden grove, garden valley, gardena, gardner, gardnerville,
garland, gary, gastonia, geneva, georgetown, germantown, gig harbor, gilbert, gillette, gilroy, gladstone, glen
ellyn, glencoe, glendale, glendale heights, glendora, glenview, glenwood springs, golden, golden valley, goldendale,
goldsboro, goleta, goodlettsville, goodyear, goose creek, goshen, granada hills, grand forks, grand island, grand
junction, grand prairie, grand rapids, grand terrace, grandview, granite city, grants pass, grapevine, grass valley,
great falls, great neck, greeley, green bay, green river, green valley, greenbelt, greenfield, greensboro,
greenville, greenwich, greenwood, greenwood village, gresham, gretna, grosse pointe, grove city, grover beach,
guaynabo, gulfport, gurnee, hacienda heights, hackensack, hagerstown, half moon bay, hallandale, haltom city,
hamilton, hammond, hampton, hanford, hanover, hanover park, harahan, harbor city, harlingen, harrisburg,
harrisonburg, hartford, harvey, harwood heights, hastings, hattiesburg, hauppauge, haverhill, havre, hawthorne,
hays, hayward, hazelwood, healdsburg, helena, hemet, hempstead, henderson, hendersonville, hercules, hermiston,
hermosa beach, herndon, herriman, hesperia, hialeah, hialeah gardens, hickory, hickory hills, high point, highland
park, highlands ranch, hilliard, hillsboro, hillsborough, hillside, hilo, hilton head, hilton head island, hinsdale,
hobbs, hoboken, hoffman estates, holladay, holland, hollister, hollywood, homestead, homewood, honolulu, hood river,
hoover, hopkinsville, horn lake, horsham, hot springs, houma, houston, hudson, humble, huntington, huntington beach,
huntington park, huntley, huntsville, hurst, hutchinson, hyattsville, idaho falls, imperial beach, incline village,
independence, indianapolis, indio, inglewood, inver grove heights, inverness, iowa city, iron mountain, irvine,
irving, irwindale, issaquah, itasca, ithaca, jackson, jacksonville, jamaica, jamestown, janesville, jefferson city,
jeffersonville, jenks, jersey city, johns creek, johnson city, johnston, joliet, jonesboro, joplin, juneau, jupiter,
jurupa valley, kahului, kailua, kailua kona, kalamazoo, kalispell, kaneohe, kankakee, kannapolis, kansas, kansas
city, katy, kaysville, kearney, kearns, kearny, keene, keizer, keller, kenai, kenilworth, kenner, kennesaw,
kennewick, kenosha, kent, kentwood, kernersville, kerrville, ketchikan, ketchum, kettering, key west, kihei,
killeen, king of pruss, king of prussia, kingman, kingsport, kingston, kingstown, kirkland, kirkwood, kissimmee,
klamath falls, knoxville, kodiak, kokomo, la canada, la crescenta, la crosse, la grange, la habra, la jolla, la
mesa, la mirada, la palma, la puente, la quinta, la verne, lacey, laconia, lafayette, lagrange, laguna beach, laguna
hills, laguna niguel, lahaina, lake charles, lake elsinore, lake forest, lake havasu city, lake mary, lake oswego,
lake worth, lake zurich, lakeland, lakeville, lakewood, lancaster, lansing, laramie, laredo, largo, larkspur, las
cruces, las vegas, lauderhill, laurel, lawrence, lawrenceville, lawton, layton, league city, leander, leavenworth,
leawood, lee's summit, lees summit, leesburg, lehi, lemont, lemoore, lenexa, lewiston, lewisville, lexington,
liberal, libertyville, lighthouse point, lihue, lincoln, lincoln park, lincolnshire, lincolnwood, linden, lisle,
little rock, littleton, livermore, livonia, lockport, lodi, logan, loma linda, lombard, lompoc, london, lone tree,
long beach, long island city, longmont, longview, lorain, los alamitos, los alamos, los altos, los angeles, los
banos, los gatos, los lunas, louisburg, louisville, loveland, lowell, lubbock, lufkin, lynchburg, lynn, lynnwood,
lynwood, lyons, macon, madera, madison, maitland, malden, malibu, malvern, manassas, manchester, mandan, mandeville,
manhattan, manhattan beach, manitowoc, mankato, mansfield, manteca, manteo, maple grove, maplewood, marana, marfa,
margate, maricopa, marietta, marina del rey, marion, marquette, marrero, marshalltown, martinez, martinsburg,
maryland heights, marysville, mason, mason city, matteson, maywood, mcallen, mcdonough, mchenry, mckinney, mclean,
mcminnville, medford, media, mehlville, melbourne, melrose park, melville, memphis, menifee, menlo park, menomonee
falls, mentor, mequon, merced, mercer island, meriden, meridian, merrillville, mesa, mesquite, metairie, miami,
miami beach, miami gardens, miami lakes, michigan city, middleton, middletown, midland, midlothian, midvale, midwest
city, miles city, milford, mill valley, millcreek, milpitas, milwaukee, milwaukie, minden, minneapolis, minnetonka,
minot, miramar, mishawaka, mission viejo, missoula, missouri city, mitchell, moab, mobile, modesto, mokena, moline,
monroe, monrovia, montclair, montebello, monterey, monterey park, montgomery, montpelier, montreal, montrose, moore,
moorhead, moorpark, moreno valley, morgan hill, morgantown, morristown, morton grove, moscow, moses lake, mount
laurel, mount pleasant, mount prospect, mount vernon, mountain view, mukilteo, muncie, mundelein, murfreesboro,
murray, murrieta, muscatine, muskegon, muskogee, myrtle beach, nacogdoches, nampa, napa, naperville, naples, nashua,
nashville, national city, naugatuck, new albany, new bedford, new berlin, new bern, new braunfels, new britain, new
brunswick, new haven, new iberia, new lenox, new orleans, new rochelle, new york, newark, newberg, newburgh, newnan,
newport, newport beach, newport news, newton, niagara falls, nicholasville, niles, noblesville, nogales, norcross,
norfolk, norman, norridge, norristown, north charleston, north chicago, north hollywood, north kingstown, north las
vegas, north little rock, north miami, north platte, north richland hills, north salt lake, northbrook, northfield,
northglenn, northlake, northridge, norwalk, norwich, novato, novi, nutley, o'fallon, oak brook, oak creek, oak
forest, oak harbor, oak lawn, oak park, oak ridge, oakbrook, oakdale, oakland, oakville, ocala, oceanside, odessa,
ofallon, ogden, ojai, oklahoma city, olathe, olive branch, olympia, omaha, ontario, opa locka, opelika, oregon city,
orem, orland park, orlando, oro valley, oroville, oshkosh, oswego, ottawa, ottumwa, overland, overland park, owasso,
owensboro, owings mills, oxnard, pacifica, paducah, palatine, palm bay, palm beach, palm beach gardens, palm coast,
palm desert, palm harbor, palm springs, palmdale, palmer, palo alto, palos heights, palos verdes, panama city,
paradise, paradise valley, paramus, park city, park ridge, parker, parkersburg, parma, parsippany, pasadena, pasco,
paso robles, passaic, paterson, patterson, pawtucket, peachtree city, pearl city, pearland, pekin, pembroke pines,
pendleton, pensacola, peoria, perris, perth amboy, petaluma, petersburg, pharr, phenix city, philadelphia, phoenix,
pico rivera, pine bluff, pinellas park, pinole, pismo beach, pittsburg, pittsburgh, placentia, placerville,
plainfield, plano, plantation, playa del rey, pleasant grove, pleasanton, plymouth, plymouth meeting, pocatello,
pomona, pompano beach, ponca city, ponce, ponte vedra beach, pontiac, poplar bluff, port angeles, port arthur, port
hueneme, port huron, port orange, port st lucie, port washington, portage, porterville, portland, portsmouth, post
falls, poughkeepsie, poway, prairie village, prattville, prescott, prescott valley, princeton, providence, provo,
pueblo, pullman, puyallup, queen creek, queens, quincy, racine, raleigh, ramona, rancho cordova, rancho cucamonga,
rancho dominguez, rancho palos verdes, rancho santa fe, rancho santa margarita, ranchos de taos, rapid city,
raytown, reading, red bluff, redding, redlands, redmond, redondo beach, redwood city, reedley, rehoboth beach, reno,
renton, reseda, reston, rexburg, reynoldsburg, rialto, richardson, richfield, richland, richmond, ridgeland, rio
rancho, river forest, riverside, riverton, roanoke, rochester, rochester hills, rock hill, rock island, rock
springs, rockford, rocklin, rockville, rockwall, rocky mount, rogers, rohnert park, rolla, rolling hills estates,
rolling meadows, romeoville, roseburg, roselle, rosemead, rosemont, roseville, roswell, round rock, rowland heights,
rowlett, roy, royal oak, ruidoso, rutherford, rutland, saco, sacramento, safety harbor, saginaw, saint charles,
saint clair shores, saint cloud, saint george, saint joseph, saint louis, saint louis park, saint paul, saint
peters, saint petersburg, saint simons, saint simons island, salem, salina, salinas, salisbury, salt lake city,
sammamish, san angelo, san anselmo, san antonio, san bernardino, san bruno, san buenaventura, san carlos, san
clemente, san diego, san dimas, san fernando, san francisco, san gabriel, san jose, san juan, san leandro, san luis
obispo, san marcos, san marino, san mateo, san pedro, san rafael, san ramon, sandpoint, sandusky, sandy, sandy
springs, sanford, santa ana, santa barbara, santa clara, santa clarita, santa cruz, santa fe, santa fe springs,
santa maria, santa monica, santa paula, santa rosa, santee, sarasota, saratoga, saratoga springs, sault ste marie,
sausalito, savage, savannah, sayreville, schaumburg, schenectady, schertz, schiller park, scottsdale, scranton, seal
beach, seaside, seatac, seattle, sebastopol, secaucus, sedalia, sedona, selma, shakopee, shawnee, sheboygan,
shelton, sheridan, sherman, sherman oaks, sherwood, shoreline, shreveport, sierra madre, sierra vista, signal hill,
sikeston, silver city, silver spring, simi valley, sioux city, sioux falls, sitka, skokie, slidell, smyrna,
snoqualmie, solana beach, soldotna, solon, somerville, sonoma, south bend, south burlington, south el monte, south
gate, south jordan, south kingstown, south lake tahoe, south pasadena, south pittsburg, south portland, south salt
lake, south san francisco, southaven, southfield, southington, southlake, spanish fork, sparks, spartanburg,
spokane, spokane valley, springdale, springfield, springville, st augustine, st charles, st cloud, st george, st
joseph, st louis, st louis park, st paul, st peters, st petersburg, st simons, st simons island, stafford, stamford,
stanley, stanton, state college, staten island, steamboat springs, sterling, sterling heights, stevens point,
stickney, stillwater, stockbridge, stockton, stone mountain, streamwood, strongsville, stuart, studio city, suffolk,
sugar land, sugarland, suisun city, summerville, sumter, sun city, sun prairie, sun valley, sunnyvale, sunrise,
superior, surprise, sylmar, syracuse, tacoma, takoma park, tallahassee, tamarac, tampa, taos, tarpon springs,
tarzana, taunton, taylor, taylorsville, teaneck, temecula, tempe, temple, terre haute, texarkana, texas city, the
colony, the dalles, the woodlands, thornton, thousand oaks, tiburon, tigard, tinley park, toledo, toms river,
tooele, topeka, toronto, torrance, torrington, towson, tracy, traverse city, trenton, troy, truckee, tualatin,
tucker, tucson, tukwila, tulare, tulsa, tupelo, turlock, tuscaloosa, tustin, twin falls, tyler, ukiah, union city,
universal city, university city, university place, upland, urbana, urbandale, utica, vacaville, vail, valdosta,
vallejo, valley stream, valparaiso, van nuys, vancouver, venice, ventura, vernal, vernon hills, vero beach, vestavia
hills, victoria, victorville, vienna, villa park, vineland, virginia beach, visalia, vista, waco, waipahu, walla
walla, walnut creek, waltham, warner robins, warren, warrenville, warwick, washington, wasilla, waterbury, waterloo,
watertown, watsonville, waukegan, waukesha, wausau, wauwatosa, waxahachie, wayne, weatherford, webster groves,
wellington, wenatchee, wentzville, weslaco, west allis, west bend, west bloomfield, west chester, west chicago, west
covina, west des moines, west fargo, west haven, west hollywood, west jordan, west lafayette, west linn, west new
york, west palm beach, west sacramento, west valley, west valley city, westchester, western springs, westerville,
westlake, westlake village, westminster, westmont, weston, wethersfield, wheat ridge, wheaton, wheeling, white bear
lake, white house, white plains, whitefish, whittier, wichita, wichita falls, wildwood, wilkes barre, williamsburg,
willowbrook, wilmette, wilmington, wilson, wilsonville, windsor, winnetka, winona, winston salem, winston-salem,
winter haven, winter park, wood dale, woodbridge, woodburn, woodbury, woodinville, woodland, woodland hills,
woodridge, woodstock, woonsocket, worcester, wylie, wyoming, yakima, yankton, yonkers, yorba linda, york, yorkville,
youngstown, ypsilanti, yuba city, yucaipa, yukon, yuma, zanesville, zion
"""


def _by_first_word() -> dict[str, list[tuple[str, ...]]]:
    """Return the names, as words, by the first of them; longer ones come first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for name in sorted(_NAMES.replace("\n", " ").split(","), key=lambda name: -len(name.split())):
        words = tuple(name.split())
        found.setdefault(words[0], []).append(words)
    return found


_CITIES = _by_first_word()


def mark_cities(words: Sequence[str], commas: Sequence[bool]) -> list[str]:
    """Return for each word whether it is a city (1), begins (B), goes on in (I) or ends (E) one, or none of that (0).

    `commas` says behind which words there is a comma: no name goes on there.
    """
    marks = ["0"] * len(words)
    place = 0
    while place < len(words):
        long = _length(words, commas, place)
        if long == 1:
            marks[place] = "1"
        elif long:
            marks[place : place + long] = "B" + "I" * (long - 2) + "E"
        place += long or 1
    return marks


def _length(words: Sequence[str], commas: Sequence[bool], place: int) -> int:
    """Return how many words the city has that begins there; 0 if none does."""
    for name in _CITIES.get(words[place], ()):
        long = len(name)
        if tuple(words[place : place + long]) == name and True not in commas[place : place + long - 1]:
            return long
    return 0
